// Equality of JSON values: objects by their keys in any order, arrays in order, numbers by value.

/** Undefined for text that is not JSON: distinct from the value null. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** An answer nested deeper is no answer; recursing into it would end the process's stack. */
const deepest = 200;

/** Deep equality of two parsed JSON values; false when they are nested more than 200 levels. */
export function jsonEqual(a: unknown, b: unknown, depth = 0): boolean {
  if (a === b) return true;
  if (depth > deepest) return false;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => jsonEqual(item, b[index], depth + 1));
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      (key) => Object.hasOwn(b, key) && jsonEqual((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], depth + 1),
    )
  );
}

/** Share of the named fields that are equal in both objects; 0 when the answer is no object. */
export function equalFieldShare(answer: unknown, reference: unknown, fields: readonly string[]): number {
  if (answer === null || typeof answer !== 'object' || reference === null || typeof reference !== 'object' || fields.length === 0) return 0;
  const [said, wanted] = [answer as Record<string, unknown>, reference as Record<string, unknown>];
  const equal = fields.filter(
    (field) => Object.hasOwn(said, field) && Object.hasOwn(wanted, field) && jsonEqual(said[field], wanted[field]),
  );
  return equal.length / fields.length;
}
