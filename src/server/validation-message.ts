/** Makes one sentence and a field name from the validator's findings. Knows JSON Schema keywords, no route. */
import type { FastifySchemaValidationError } from 'fastify';

/**
 * Picks the finding that is deepest in the value. Of a union's alternatives, that one is nearest to what was meant, unless
 * the value's `type` says which one was.
 *
 * @param context `body`, `querystring`, `params` or `headers`
 * @returns `param` in the form `messages[0].content`, absent if the whole value is meant
 */
export function describeValidation(
  findings: readonly FastifySchemaValidationError[],
  context = 'body',
): { reason: string; param?: string } {
  const own = findings.filter(({ keyword }) => keyword !== 'anyOf' && keyword !== 'allOf');
  const candidates = own.length > 0 ? ofMeantAlternatives(own) : findings;
  const deepest = Math.max(...candidates.map(({ instancePath }) => instancePath.split('/').length));
  const first = candidates.find(({ instancePath }) => instancePath.split('/').length === deepest);
  if (!first) return { reason: `The ${context} is invalid.` };
  const path = fieldName(first.instancePath);
  const missing = missingFields(first);
  const param = missing ? [path, missing].filter((part) => part !== '').join('.') : path;
  const subject = param === '' ? `The ${context}` : `\`${param}\``;
  const alternatives = candidates.filter((finding) => finding.instancePath === first.instancePath);
  const reason = missing
    ? `${subject} is required.`
    : `${subject} ${[...new Set(alternatives.map(requirement))].join(', or ')}.`;
  return param === '' ? { reason } : { reason, param };
}

/** Where an alternative of a union says what `type` its objects have. */
const TYPE_OF_ALTERNATIVE = /^((.*\/anyOf)\/\d+)\/properties\/type$/;
/** Findings that a value is of another kind altogether. */
const KINDS = new Set(['type', 'const', 'enum']);

/** Without the findings of alternatives that are of another `type` than the value, where one is of its type. */
function ofMeantAlternatives(findings: readonly FastifySchemaValidationError[]): FastifySchemaValidationError[] {
  const others = findings.flatMap(({ keyword, schemaPath, instancePath }) => {
    const [, alternative, union] = TYPE_OF_ALTERNATIVE.exec(schemaPath) ?? [];
    if (!KINDS.has(keyword) || alternative === undefined || union === undefined) return [];
    return [{ alternative, union, value: instancePath.slice(0, -'/type'.length) }];
  });
  const isOther = (finding: FastifySchemaValidationError) =>
    others.some(({ alternative, value }) => isWithin(finding, alternative, value));
  const known = others.filter(({ union, value }) =>
    findings.some(
      (finding) =>
        isWithin(finding, union, value) &&
        !isOther(finding) &&
        !(finding.instancePath === value && KINDS.has(finding.keyword)),
    ),
  );
  return findings.filter((finding) => !known.some(({ alternative, value }) => isWithin(finding, alternative, value)));
}

function isWithin({ schemaPath, instancePath }: FastifySchemaValidationError, schema: string, value: string): boolean {
  return `${schemaPath}/`.startsWith(`${schema}/`) && `${instancePath}/`.startsWith(`${value}/`);
}

function missingFields({ keyword, params }: FastifySchemaValidationError): string | undefined {
  if (keyword !== 'required') return undefined;
  const names = params.requiredProperties ?? params.missingProperty;
  return [names].flat().map(String)[0];
}

function requirement({ keyword, params, message }: FastifySchemaValidationError): string {
  if (keyword === 'enum' && Array.isArray(params.allowedValues)) {
    return `must be one of ${params.allowedValues.map((value) => JSON.stringify(value)).join(', ')}`;
  }
  if (keyword === 'const') return `must be ${JSON.stringify(params.allowedValue)}`;
  return message ?? `fails ${keyword}`;
}

/** JSON pointer `/messages/0/content` as `messages[0].content`. */
function fieldName(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replace(/~1/g, '/').replace(/~0/g, '~'))
    .map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}
