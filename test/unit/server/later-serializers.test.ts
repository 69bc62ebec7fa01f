/** Serializers are compiled when the first answer needs them, or afterwards by the turn; every one of them can be. */
import { expect, test } from 'vitest';
import { LaterSerializers } from '../../../src/server/later-serializers.js';
import { fakeApp } from '../../support/fake-services.js';

const NAMED = {
  schema: { type: 'object', properties: { name: { type: 'string' } } },
  method: 'GET',
  url: '/',
  httpStatus: '200',
};
const BROKEN = { ...NAMED, schema: { type: 'object', properties: { name: { $ref: '#/nowhere' } } } };

test('an answer is written as its schema says, compiled before or not', async () => {
  const serializers = new LaterSerializers();
  const make = serializers.factory({}, {});
  const [first, second] = [make(NAMED), make(NAMED)];
  expect(first({ name: 'a', secret: 'b' })).toBe('{"name":"a"}');
  await serializers.compileAll();
  expect(first({ name: 'c' })).toBe('{"name":"c"}');
  expect(second({ name: 'a', secret: 'b' })).toBe('{"name":"a"}');
});

test('nothing is compiled before: what cannot be compiled is told by its first answer, and by compiling all', async () => {
  const serializers = new LaterSerializers();
  const broken = serializers.factory({}, {})(BROKEN);
  expect(() => broken({ name: 'a' })).toThrow(/nowhere/);
  const others = new LaterSerializers();
  others.factory({}, {})(BROKEN);
  await expect(others.compileAll()).rejects.toThrow(/nowhere/);
});

test('every serializer of the application can be compiled', async () => {
  const serializers = new LaterSerializers();
  const { app } = await fakeApp({}, { serializers });
  await app.ready();
  await expect(serializers.compileAll()).resolves.toBeUndefined();
  await app.close();
});
