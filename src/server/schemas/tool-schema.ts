/** Tools on the wire: OpenAI's definitions, the choice among them, calls in the history and calls in answers. */
import { type Static, type TSchema, Type } from '@fastify/type-provider-typebox';
import { anyObject, named, oneOf } from './named.js';

/** As many as OpenAI takes. */
const MOST_TOOLS = 128;

export const ToolTypeSchema = named('ToolType', oneOf(['function']));

export const FunctionDefinitionSchema = named(
  'FunctionDefinition',
  Type.Object({
    name: Type.String({
      minLength: 1,
      maxLength: 128,
      pattern: '^[A-Za-z0-9_.:/-]+$',
      description: 'Letters, digits and `_.:/-`.',
    }),
    description: Type.Optional(Type.String()),
    parameters: Type.Optional(
      anyObject({
        description:
          'A JSON Schema of an object, at most 65,536 characters; absent: no parameters. With `strict` it must be one that can be enforced.',
      }),
    ),
    strict: Type.Optional(
      Type.Boolean({ description: 'The arguments of every call fit the schema, under `auto` too.' }),
    ),
  }),
);

const ToolSchema = named('Tool', Type.Object({ type: ToolTypeSchema, function: FunctionDefinitionSchema }));
export type ToolBody = Static<typeof ToolSchema>;

const NamedToolSchema = named(
  'NamedTool',
  Type.Object({
    type: ToolTypeSchema,
    function: named('NamedToolFunction', Type.Object({ name: Type.String() })),
  }),
);

export const ToolChoiceModeSchema = named('ToolChoiceMode', oneOf(['none', 'auto', 'required']));

const AllowedToolsModeSchema = named('AllowedToolsMode', oneOf(['auto', 'required']));
export const AllowedToolsTypeSchema = named('AllowedToolsType', oneOf(['allowed_tools']));

/** @param name how an endpoint's requests name a function */
export function allowedFields<Name extends TSchema>(name: Name) {
  return {
    mode: AllowedToolsModeSchema,
    tools: Type.Array(name, { minItems: 1, maxItems: MOST_TOOLS, description: 'Each is one of `tools`.' }),
  };
}

const AllowedToolsSchema = named(
  'AllowedToolsChoice',
  Type.Object({
    type: AllowedToolsTypeSchema,
    allowed_tools: named('AllowedTools', Type.Object(allowedFields(NamedToolSchema))),
  }),
);

/**
 * @param tool how an endpoint's requests define a function
 * @param choice how they name one that is called
 * @param allowed how they name those that may be called
 */
export function toolFields<Tool extends TSchema, Choice extends TSchema, Allowed extends TSchema>(
  tool: Tool,
  choice: Choice,
  allowed: Allowed,
) {
  return {
    tools: Type.Optional(
      Type.Array(tool, {
        maxItems: MOST_TOOLS,
        description: 'Functions that the model may call. No name stands twice.',
      }),
    ),
    tool_choice: Type.Optional(
      Type.Union([ToolChoiceModeSchema, choice, allowed], {
        description:
          '`auto` (the default with tools): the model decides. `required`: it calls at least one. A function: it calls this one, once. `allowed_tools`: the same as its mode, but only these are called; the prompt shows all. `none`: it calls none. All but `none` and `auto` need `tools`, and a function must be one of them.',
      }),
    ),
    parallel_tool_calls: Type.Optional(
      Type.Boolean({ description: 'Whether one answer may have several calls. Default: true.' }),
    ),
  };
}

export const toolProperties = toolFields(ToolSchema, NamedToolSchema, AllowedToolsSchema);

/** A call in the history. */
export const ToolCallInputSchema = named(
  'ToolCallInput',
  Type.Object({
    id: Type.Optional(Type.String()),
    type: Type.Optional(Type.Literal('function')),
    function: named(
      'FunctionCallInput',
      Type.Object({
        name: Type.String(),
        arguments: Type.Optional(
          Type.Union([Type.String(), anyObject()], {
            description: 'JSON. The chat template gets the object.',
          }),
        ),
      }),
    ),
  }),
);

export const ToolCallSchema = named(
  'ToolCall',
  Type.Object({
    id: Type.String({ description: 'The `tool_call_id` of the message with the result.' }),
    type: Type.Literal('function'),
    function: named(
      'FunctionCall',
      Type.Object({
        name: Type.String(),
        arguments: Type.String({ description: 'JSON as the model wrote it.' }),
      }),
    ),
  }),
);

/** In a stream. */
export const ToolCallDeltaSchema = named(
  'ToolCallDelta',
  Type.Object(
    {
      index: Type.Integer({ description: 'Which call: they come one after the other.' }),
      id: Type.Optional(Type.String()),
      type: Type.Optional(Type.Literal('function')),
      function: named(
        'FunctionCallDelta',
        Type.Object({ name: Type.Optional(Type.String()), arguments: Type.String() }),
      ),
    },
    { description: '`id`, `type` and the name come first, then the arguments in pieces.' },
  ),
);
