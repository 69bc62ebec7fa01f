/** `null` means "not given" wherever a schema lets a field be absent, and stays a value where the schema leaves it open. */
import { Type } from '@fastify/type-provider-typebox';
import { describe, expect, it } from 'vitest';
import { nullDropper } from '../../../src/server/null-fields.js';
import { anyObject, mapOf } from '../../../src/server/schemas/named.js';
import { fakeApp } from '../../support/fake-services.js';

const SCHEMA = Type.Object({
  needed: Type.Union([Type.Object({ deep: Type.Optional(Type.String()) }), Type.String()]),
  list: Type.Optional(Type.Array(Type.Object({ title: Type.Optional(Type.String()), text: Type.String() }))),
  map: Type.Optional(mapOf(Type.Number())),
  open: Type.Optional(anyObject()),
  ids: Type.Optional(Type.Array(Type.Integer())),
});

describe('a null in a body', () => {
  it('is dropped from optional fields at every depth, and from maps', () => {
    const value = {
      needed: { deep: null },
      list: [
        { title: null, text: 'a' },
        { title: 't', text: null },
      ],
      map: { 1: null, 2: 3 },
      ids: null,
    };
    nullDropper(SCHEMA)?.(value);
    expect(value).toEqual({ needed: {}, list: [{ text: 'a' }, { title: 't', text: null }], map: { 2: 3 } });
  });

  it('stays in what a schema leaves open, in required fields and in lists', () => {
    const value = { needed: null, open: { enum: [null], const: null }, list: [null] };
    nullDropper(SCHEMA)?.(value);
    expect(value).toEqual({ needed: null, open: { enum: [null], const: null }, list: [null] });
  });

  it('is the only way to say it: no field that may be absent takes null by itself', () => {
    const twice = Type.Object({ name: Type.Optional(Type.Union([Type.String(), Type.Null()])) });
    expect(() => nullDropper(twice)).toThrow(/name may be absent: null means that already/);
    expect(() => nullDropper(Type.Object({ any: Type.Optional(Type.Unknown()) }))).toThrow(TypeError);
  });

  it('needs no walk through a list of numbers', () => {
    expect(nullDropper(Type.Array(Type.Integer()))).toBeUndefined();
  });

  it('is taken by the routes as "not given"', async () => {
    const { app } = await fakeApp();
    const response = await app.inject({
      method: 'POST',
      url: '/v1/chat/completions',
      payload: {
        messages: [{ role: 'user', content: 'Why?', name: null, tool_calls: null }],
        documents: [{ id: null, title: null, text: 'One is. Two is.' }],
        segmentation: { segmenter: null, target_tokens: null, granularity: null },
        attention: { mode: 'block', repair: null },
        stream_options: { include_usage: null },
        logit_bias: { 5: null },
        max_tokens: 2,
        temperature: null,
      },
    });
    expect(response.json()).toMatchObject({ object: 'chat.completion' });
    expect(response.statusCode).toBe(200);
    await app.close();
  });
});
