// Strings of a body by their places: where one ends, and how it begins, decoded no further than is asked for. The bytes are valid JSON in UTF-8.

const quote = 0x22;
const backslash = 0x5c;
const letterU = 0x75;

/** Short strings are walked by hand: a search costs more than it finds. */
const walkedBytes = 32;
/** In a text of nothing but escaped quotes a search for each costs more than a walk. */
const mostMisses = 4_096;
/** No UTF-16 unit takes more: `\u0041`. */
const mostBytesPerUnit = 6;

/** At the quote that closes the string whose text begins at `from`. Throws where there is none: the body was not checked then. */
export function closingQuote(bytes: Buffer, from: number): number {
  const near = walkToQuote(bytes, from, Math.min(from + walkedBytes, bytes.length));
  if (bytes[near] === quote) return near;
  let at = near - 1;
  for (let misses = 0; misses < mostMisses; misses += 1) {
    at = bytes.indexOf(quote, at + 1);
    if (at < 0) break;
    if (backslashesBefore(bytes, at, from) % 2 === 0) return at;
  }
  const far = at < 0 ? bytes.length : walkToQuote(bytes, at + 1, bytes.length);
  if (far < bytes.length) return far;
  throw new Error('the body was not checked: a string in it has no end');
}

/**
 * The beginning of the string whose text lies between the places: all of it, or at least its first `units` UTF-16 units. Never cut within a
 * character or an escape. The cost grows with `units`, not with the string.
 */
export function beginningOf(bytes: Buffer, from: number, to: number, units: number): string {
  // A byte is a unit in what most clients write: ASCII without escapes.
  for (const reach of [units, (units + 1) * mostBytesPerUnit]) {
    const end = from + reach < to ? wholeUpTo(bytes, from, from + reach) : to;
    const text = decoded(bytes, from, end);
    if (end === to || text.length >= units) return text;
  }
  throw new Error('the body was not checked: an escape in it has no end');
}

/** At the first quote outside of escapes; `end` or behind it when there is none before. */
function walkToQuote(bytes: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at;
}

function backslashesBefore(bytes: Buffer, at: number, from: number): number {
  let first = at;
  while (first > from && bytes[first - 1] === backslash) first -= 1;
  return at - first;
}

/** `end`, or the beginning of the character or escape that it would cut. */
function wholeUpTo(bytes: Buffer, from: number, end: number): number {
  let to = end;
  while (((bytes[to] ?? 0) & 0xc0) === 0x80) to -= 1;
  for (let at = to - 1; at >= from && at > to - mostBytesPerUnit; at -= 1) {
    if (bytes[at] !== backslash) continue;
    if (backslashesBefore(bytes, at, from) % 2 === 1) return to;
    return at + (bytes[at + 1] === letterU ? mostBytesPerUnit : 2) > to ? at : to;
  }
  return to;
}

function decoded(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString('utf8', from, to);
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text;
}
