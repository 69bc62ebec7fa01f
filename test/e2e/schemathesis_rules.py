"""Rules of requests that JSON Schema cannot say, for schemathesis: what may be refused though it fits the schema.

A rule is an error code, the field that the error names, and words of the OpenAPI document that say so. A refusal that no
rule allows fails, and so does a rule whose words the operation does not have: then the document does not say it.
"""

import json
import re

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    """Lines as they are; any other value, which is wrong, as JSON."""
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")


SALT = ("invalid_request", r"cache_salt", "The header `x-cache-salt` may not name another one.")
SEGMENTATION = ("segmentation_invalid", r"segmentation.*", "`target_tokens` or `granularity`, not both.")
# Of every body: docs/api.md says what a body may be at all.
BODY = [
    ("payload_too_large", r".*", "`payload_too_large`"),
    ("text_not_encodable", r".*", "`text_not_encodable`"),
    ("invalid_json", r"", "`invalid_json`"),
]
STRUCTURE = ("invalid_request", r"(response_format|structured_outputs|guided_).*", "that can be enforced")
CONTEXT = ("context_length_exceeded", r".*", "`context_length_exceeded`")
REPAIR = ("invalid_request", r"attention\.repair", "Only with the mode `block`.")
GENERATE = [
    *BODY,
    SALT,
    STRUCTURE,
    CONTEXT,
    REPAIR,
    ("invalid_request", r"n", "the server allows so many: `--max-choices`"),
    ("invalid_request", r"max(_completion)?_tokens", "the server allows so many: `--max-tokens`"),
    ("invalid_request", r"stop", "at most `--max-stops` texts"),
    ("invalid_request", r"logit_bias", "each token id of the model"),
]
DOCUMENTS = [
    SEGMENTATION,
    ("empty_input", r"documents.*", "A blank one among others is left out."),
    ("invalid_request", r"documents\[.*", "Either the id of an ingested document, or a text"),
]
TOOLS = [
    ("invalid_request", r"tools\[\d+\](\.function)?\.name", "No name stands twice."),
    ("invalid_request", r"tools\[\d+\](\.function)?\.parameters.*", "A JSON Schema of an object"),
    ("invalid_request", r"tool_choice", "All but `none` and `auto` need `tools`"),
]
MESSAGES = [
    ("invalid_request", r"messages\[.*", "Only an assistant may send none."),
    ("empty_input", r"messages\[.*", "A user sends more than white space."),
    ("invalid_request", r"chat_template_kwargs.*", "Names that the server sets itself"),
    ("invalid_request", r"continue_final_message", "Not with `add_generation_prompt: true`."),
    *TOOLS,
]
RULES = {
    "createChatCompletion": [
        *GENERATE,
        *DOCUMENTS,
        *MESSAGES,
        ("invalid_request", r"top_logprobs", "Needs `logprobs: true`."),
    ],
    "createResponse": [
        *BODY,
        SALT,
        CONTEXT,
        REPAIR,
        *DOCUMENTS,
        *TOOLS,
        ("invalid_request", r"n", "are refused by name"),
        ("empty_input", r"input", "A user sends more than white space."),
        ("invalid_request", r"input\[\d+\]\.call_id", "that of one before it"),
        ("invalid_request", r"max_output_tokens", "the server allows so many: `--max-tokens`"),
        ("invalid_request", r"text\.format", "that can be enforced"),
        ("invalid_request", r"text\.format\.schema", "The type `json_schema` needs it."),
    ],
    "tokenize": [
        *BODY,
        SALT,
        CONTEXT,
        REPAIR,
        *DOCUMENTS,
        *MESSAGES,
        ("invalid_request", r"prompt", "Either this or `messages`."),
        ("empty_input", r"prompt", "that is not empty, nor only what begins every prompt"),
    ],
    "detokenize": [*BODY, ("invalid_request", r"tokens\[.*", "Ids of tokens that the model has.")],
    "createCompletion": [
        *GENERATE,
        ("invalid_request", r"prompt.*", "token ids of the model"),
        ("empty_input", r"prompt.*", "not empty"),
        ("empty_input", r"blocks.*", "None is only white space."),
    ],
    "createDocument": [
        *BODY,
        SALT,
        SEGMENTATION,
        ("empty_input", r"text", "Not only white space."),
        ("invalid_request", r"id", 'neither "." nor ".."'),
    ],
    "segmentText": [*BODY, SALT, SEGMENTATION, ("empty_input", r"text", "Not only white space.")],
    "listDocuments": [SALT],
    "getDocument": [SALT],
    "deleteDocument": [SALT],
}


@schemathesis.check
def refusals_are_said(ctx, response, case):
    """A request that fits the schema is answered, or refused for a reason that the document gives."""
    if response.status_code not in (400, 413, 422) or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    error = json.loads(response.content)["error"]
    said = json.dumps(whole(case.operation.definition.raw, case.operation.schema.raw_schema))
    operation = case.operation.definition.raw["operationId"]
    for code, param, words in RULES.get(operation, []):
        if error["code"] == code and re.fullmatch(param, error["param"] or ""):
            assert json.dumps(words)[1:-1] in said, f"{operation} does not say: {words}"
            return
    raise AssertionError(f"{operation} refuses what fits its schema: {error}")


@schemathesis.hook
def before_call(ctx, case, **kwargs):
    """A sequence has no salts: what was deleted under one salt is rightly there under another."""
    if case.meta is None or case.meta.phase.name != "stateful" or not case.meta.generation.mode.is_positive:
        return
    for part in (case.headers, case.query, case.body):
        if isinstance(part, dict):
            for name in [name for name in part if name.lower() in ("x-cache-salt", "cache_salt")]:
                del part[name]


def whole(node, document):
    """`node` with every reference replaced by what it refers to."""
    if isinstance(node, list):
        return [whole(element, document) for element in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return {**whole(target, document), **{key: part for key, part in node.items() if key != "$ref"}}
    return {key: whole(part, document) for key, part in node.items()}
