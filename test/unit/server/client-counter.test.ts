import { describe, expect, it } from 'vitest';
import { clientNetwork } from '../../../src/server/client-address.js';
import { ClientCounter } from '../../../src/server/client-counter.js';

describe('counts per client', () => {
  it('begin anew when the minute that the first event began is over', () => {
    let nowMs = 0;
    const counter = new ClientCounter({ now: () => nowMs });
    expect([counter.add('a'), counter.add('a')]).toMatchObject([
      { count: 1, secondsLeft: 60 },
      { count: 2, secondsLeft: 60 },
    ]);
    nowMs = 59_500;
    const counted = counter.add('a', 3);
    expect(counted).toMatchObject({ count: 5, secondsLeft: 1 });
    counter.giveBack('a', 2, counted);
    expect(counter.read('a').count).toBe(3);
    expect(counter.add('b')).toMatchObject({ count: 1, secondsLeft: 60 });
    nowMs = 60_000;
    expect(counter.read('a')).toMatchObject({ count: 0, secondsLeft: 60 });
    counter.add('a', 2);
    counter.giveBack('a', 1, counted);
    expect(counter.read('a').count).toBe(2);
    expect(counter.read('b').count).toBe(1);
    nowMs = 120_000;
    expect(counter.size).toBe(0);
  });

  it('keep who is in the table when a flood of names comes, in bounded memory', () => {
    const counter = new ClientCounter({ mostClients: 100, now: () => 0 });
    for (let time = 0; time < 5; time += 1) counter.add('honest');
    for (let number = 0; number < 10_000; number += 1) counter.add(`made up ${number}`);
    expect(counter.size).toBeLessThanOrEqual(101);
    expect(counter.read('honest').count).toBe(5);
    expect(counter.add('late').count).toBe(10_000 - 99 + 1);
  });
});

describe('a client without a key', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('%s is counted as %s', (address, network) => {
    expect(clientNetwork(address)).toBe(network);
  });
});
