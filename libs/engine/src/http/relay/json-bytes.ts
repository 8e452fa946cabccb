// Walks over JSON in a buffer and makes nothing of it: where a value ends, or that it is none.
// Strict on purpose: what a walk accepts JSON.parse accepts, so that skipping the parse can never let garbage through. What it refuses may still be JSON.

export const quote = 0x22;
export const comma = 0x2c;
export const colon = 0x3a;
export const openBrace = 0x7b;
export const closeBrace = 0x7d;
export const openBracket = 0x5b;
export const closeBracket = 0x5d;
const backslash = 0x5c;

/** Instead of a place: no JSON, or nested deeper than we follow. */
export const notJson = -1;
const deepest = 64;

/** Behind blanks. */
export function past(bytes: Uint8Array, at: number): number {
  let behind = at;
  while (behind < bytes.length && (bytes[behind] as number) <= 0x20 && isBlank(bytes[behind] as number)) behind += 1;
  return behind;
}

const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Behind the closing quote. `at`: behind the opening one. */
export function stringEnd(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  for (let here = at; here < length; here += 1) {
    const byte = bytes[here] as number;
    if (byte === quote) return here + 1;
    if (byte < 0x20) return notJson;
    if (byte !== backslash) continue;
    here = escapeEnd(bytes, here + 1);
    if (here < 0) return notJson;
  }
  return notJson;
}

/** At the last byte of an escape. `at`: behind the backslash. */
function escapeEnd(bytes: Uint8Array, at: number): number {
  switch (bytes[at]) {
    case quote:
    case backslash:
    case 0x2f: // solidus
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return at;
    case 0x75: // u
      for (let digit = at + 1; digit <= at + 4; digit += 1) if (!isHex(bytes[digit])) return notJson;
      return at + 4;
    default:
      return notJson;
  }
}

const isHex = (byte: number | undefined): boolean =>
  byte !== undefined && ((byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66));

/** At the closing quote of a member's name; `notJson` for one with escapes too, which could be another name in disguise. `at`: behind the opening quote. */
export function nameEnd(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  for (let here = at; here < length; here += 1) {
    const byte = bytes[here] as number;
    if (byte === quote) return here;
    if (byte < 0x20 || byte === backslash) return notJson;
  }
  return notJson;
}

export const wordOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'utf8'));

/** The bytes from `at` on are the word's. */
export function isWord(bytes: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let here = 0; here < word.length; here += 1) if (bytes[at + here] !== word[here]) return false;
  return true;
}

const literals = { null: wordOf('null'), true: wordOf('true'), false: wordOf('false') };

export const isNull = (bytes: Uint8Array, at: number): boolean => isWord(bytes, at, literals.null);

/** Behind the value that begins at `at`. */
export function valueEnd(bytes: Uint8Array, at: number, depth = 0): number {
  switch (bytes[at]) {
    case quote:
      return stringEnd(bytes, at + 1);
    case openBrace:
      return depth < deepest ? objectEnd(bytes, at + 1, depth + 1) : notJson;
    case openBracket:
      return depth < deepest ? arrayEnd(bytes, at + 1, depth + 1) : notJson;
    case 0x6e:
      return isNull(bytes, at) ? at + 4 : notJson;
    case 0x74:
      return isWord(bytes, at, literals.true) ? at + 4 : notJson;
    case 0x66:
      return isWord(bytes, at, literals.false) ? at + 5 : notJson;
    default:
      return numberEnd(bytes, at);
  }
}

function objectEnd(bytes: Uint8Array, from: number, depth: number): number {
  let at = past(bytes, from);
  if (bytes[at] === closeBrace) return at + 1;
  for (;;) {
    if (bytes[at] !== quote) return notJson;
    at = stringEnd(bytes, at + 1);
    if (at < 0) return notJson;
    at = past(bytes, at);
    if (bytes[at] !== colon) return notJson;
    at = valueEnd(bytes, past(bytes, at + 1), depth);
    if (at < 0) return notJson;
    at = past(bytes, at);
    if (bytes[at] === closeBrace) return at + 1;
    if (bytes[at] !== comma) return notJson;
    at = past(bytes, at + 1);
  }
}

function arrayEnd(bytes: Uint8Array, from: number, depth: number): number {
  let at = past(bytes, from);
  if (bytes[at] === closeBracket) return at + 1;
  for (;;) {
    at = valueEnd(bytes, at, depth);
    if (at < 0) return notJson;
    at = past(bytes, at);
    if (bytes[at] === closeBracket) return at + 1;
    if (bytes[at] !== comma) return notJson;
    at = past(bytes, at + 1);
  }
}

/** Behind a list of whole numbers without signs and blanks, as the bytes of a token are written; `notJson` for any other. `from`: behind its bracket. */
export function wholeNumbersEnd(bytes: Uint8Array, from: number): number {
  for (let at = from; ; at += 1) {
    let byte = bytes[at] as number;
    if (!(byte >= 0x30 && byte <= 0x39)) return notJson;
    at += 1;
    if (byte !== 0x30) for (byte = bytes[at] as number; byte >= 0x30 && byte <= 0x39; byte = bytes[at] as number) at += 1;
    if (bytes[at] === closeBracket) return at + 1;
    if (bytes[at] !== comma) return notJson;
  }
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39;

function digitsEnd(bytes: Uint8Array, at: number): number {
  let end = at;
  while (isDigit(bytes[end])) end += 1;
  return end;
}

function numberEnd(bytes: Uint8Array, from: number): number {
  let at = bytes[from] === 0x2d ? from + 1 : from;
  if (!isDigit(bytes[at])) return notJson;
  at = bytes[at] === 0x30 ? at + 1 : digitsEnd(bytes, at);
  if (bytes[at] === 0x2e) {
    if (!isDigit(bytes[at + 1])) return notJson;
    at = digitsEnd(bytes, at + 1);
  }
  if (((bytes[at] ?? 0) | 0x20) === 0x65) {
    at += bytes[at + 1] === 0x2b || bytes[at + 1] === 0x2d ? 2 : 1;
    if (!isDigit(bytes[at])) return notJson;
    at = digitsEnd(bytes, at);
  }
  return at;
}

/** Where a member's value is; `notJson` for both when the object has none of the name, two of it, or escapes in its names. */
export function memberIn(bytes: Uint8Array, from: number, name: Uint8Array): { readonly valueFrom: number; readonly valueTo: number } {
  const none = { valueFrom: notJson, valueTo: notJson };
  let found = none;
  let at = past(bytes, from);
  if (bytes[at] !== openBrace) return none;
  at = past(bytes, at + 1);
  for (;;) {
    if (bytes[at] !== quote) return found.valueFrom < 0 ? none : found;
    const nameFrom = at + 1;
    const nameTo = nameEnd(bytes, nameFrom);
    if (nameTo < 0) return none;
    at = past(bytes, nameTo + 1);
    if (bytes[at] !== colon) return none;
    const valueFrom = past(bytes, at + 1);
    const valueTo = valueEnd(bytes, valueFrom);
    if (valueTo < 0) return none;
    if (nameTo - nameFrom === name.length && isWord(bytes, nameFrom, name)) {
      if (found.valueFrom >= 0) return none;
      found = { valueFrom, valueTo };
    }
    at = past(bytes, valueTo);
    if (bytes[at] === closeBrace) return found;
    if (bytes[at] !== comma) return none;
    at = past(bytes, at + 1);
  }
}
