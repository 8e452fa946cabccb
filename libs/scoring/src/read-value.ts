// Reading unknown JSON strictly: each reader answers the value or throws the field at fault, which the line's parser turns into a fault.

/** A field that is not as it must be. Never leaves this library: `parseTestSet` catches it. */
export class BadField extends Error {
  override readonly name = 'BadField';
  constructor(
    readonly field: string,
    /** Completes "FIELD ...". */
    readonly problem: string,
    readonly remedy: string,
  ) {
    super(`${field} ${problem}`);
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** `path.key`, or the key alone at the top. */
function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/** An object without fields outside `known`: a misspelt field must not be ignored. */
export function readObject(value: unknown, path: string, known: readonly string[]): JsonObject {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new BadField(path || 'the line', 'must be a JSON object', `Write an object with the fields ${known.join(', ')}.`);
  }
  const stranger = Object.keys(value).find((key) => !known.includes(key));
  if (stranger !== undefined) {
    throw new BadField(join(path, stranger.slice(0, 64)), 'is not a known field', `Remove it; known here are ${known.join(', ')}.`);
  }
  return value as JsonObject;
}

export function readText(value: unknown, field: string, limits: { readonly min: number; readonly max: number }): string {
  if (typeof value !== 'string')
    throw new BadField(field, `must be a string${value === undefined ? ' and is missing' : ''}`, 'Write it as a JSON string.');
  if (value.length < limits.min) throw new BadField(field, 'must not be empty', `Write at least ${limits.min} character(s).`);
  if (value.length > limits.max) throw new BadField(field, `has ${value.length} characters`, `At most ${limits.max} are allowed.`);
  // Postgres stores no NUL in jsonb, and half a surrogate pair is no text in any encoding.
  if (value.includes('\0') || !value.isWellFormed())
    throw new BadField(field, 'holds a NUL or half a surrogate pair', 'Remove these characters.');
  return value;
}

export function readNumber(
  value: unknown,
  field: string,
  limits: { readonly min: number; readonly max: number; readonly whole?: boolean },
): number {
  const wanted = `a ${limits.whole ? 'whole ' : ''}number from ${limits.min} to ${limits.max}`;
  if (
    typeof value !== 'number' ||
    !Number.isFinite(value) ||
    value < limits.min ||
    value > limits.max ||
    (limits.whole && !Number.isInteger(value))
  ) {
    throw new BadField(field, `must be ${wanted}`, `Write ${wanted}.`);
  }
  return value;
}

export function readChoice<T extends string>(value: unknown, field: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw new BadField(field, `must be one of ${choices.join(', ')}`, `Write one of ${choices.join(', ')}.`);
  return found;
}

export function readList(value: unknown, field: string, limits: { readonly min: number; readonly max: number }): readonly unknown[] {
  if (!Array.isArray(value) || value.length < limits.min || value.length > limits.max) {
    throw new BadField(field, `must be an array of ${limits.min} to ${limits.max} items`, 'Write a JSON array.');
  }
  return value;
}
