// Validation at the edge: one zod schema a parameter; every wrong field is named with its pointer and what was expected.
import { Body, type PipeTransform, Query } from '@nestjs/common';
import type { z } from 'zod';
import { type Fault, FaultError, type Outcome } from '#libs/base';

/** Bad input with all its fields at once. */
export class InvalidInput extends FaultError {
  constructor(
    fault: Fault,
    readonly errors: readonly FieldError[],
  ) {
    super(fault);
  }
}

const mostErrors = 20;

function pointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** Parses or throws InvalidInput naming every field. `where` says in words what was read: "body", "query". */
export function parse<T extends z.ZodType>(schema: T, value: unknown, where: string): z.output<T> {
  const parsed = schema.safeParse(value);
  const errors = (parsed.success ? unstorable(parsed.data, []) : parsed.error.issues.flatMap(describe)).slice(0, mostErrors);
  if (parsed.success && errors.length === 0) return parsed.data;
  const named = errors.map((error) => error.pointer || `the ${where}`).join(', ');
  throw new InvalidInput(
    {
      code: 'request.invalid',
      message: `The ${where} is not as it should be: ${named}.`,
      retryable: false,
      remedy: 'Mend the named fields; unknown fields are refused so that a typing error is never ignored.',
    },
    errors,
  );
}

interface FieldError {
  readonly pointer: string;
  readonly detail: string;
}

function describe(issue: z.core.$ZodIssue): FieldError[] {
  return issue.code === 'unrecognized_keys'
    ? issue.keys.map((key) => ({ pointer: pointer([...issue.path, key]), detail: 'This field is not known here.' }))
    : [{ pointer: pointer(issue.path), detail: issue.message }];
}

/** Texts that Postgres cannot hold. Schemas have refused what is too deep or too long before. */
function unstorable(value: unknown, path: readonly string[]): FieldError[] {
  if (typeof value === 'string') {
    const storable = !value.includes('\0') && value.isWellFormed();
    return storable ? [] : [{ pointer: pointer(path), detail: 'must not hold NUL or half a surrogate pair' }];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [...unstorable(key, [...path, key]), ...unstorable(inner, [...path, key])]);
}

class Valid implements PipeTransform {
  constructor(
    private readonly schema: z.ZodType,
    private readonly where: string,
  ) {}

  transform(value: unknown): unknown {
    return parse(this.schema, value ?? {}, this.where);
  }
}

/** Parameter decorator: the JSON body by a strict schema. */
export const ValidBody = (schema: z.ZodType): ParameterDecorator => Body(new Valid(schema, 'body'));

/** Parameter decorator: the query string by a strict schema (values arrive as text: coerce). */
export const ValidQuery = (schema: z.ZodType): ParameterDecorator => Query(new Valid(schema, 'query'));

/** The value, or the fault thrown for the filter to answer. Inside a transaction this also rolls it back. */
export function unwrap<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new FaultError(outcome.fault);
  return outcome.value;
}
