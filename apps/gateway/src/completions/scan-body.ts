// One strict reading of a body: JSON.parse judges it, a walk over its bytes finds the members at its top, and no name may stand there twice.
import { isUtf8 } from 'node:buffer';
import { type BodyMember, type JsonKind, openAiError, parseJson, type ScannedBody } from '#libs/openai';
import { type Checked, good, type Refused, refuse } from './checked.js';

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const space = 0x20;

/** Refuses what is no JSON object, is nested more than 64 levels deep, is not UTF-8, or says a field twice. */
export function scanBody(bytes: Buffer): Checked<ScannedBody> {
  if (!isUtf8(bytes)) return invalid('The body is not valid UTF-8.');
  const json = parseJson(bytes.toString('utf8'));
  if (!json.ok) return refuse(json.fault.error);
  if (typeof json.value !== 'object' || json.value === null || Array.isArray(json.value)) return invalid('The body must be a JSON object.');
  const members = membersOf(bytes);
  const byName = new Map(members.map((member) => [member.name, member]));
  if (byName.size < members.length) {
    const twice = members.find((member) => byName.get(member.name) !== member);
    return invalid(`The body says "${twice?.name.slice(0, 100)}" twice. Say it once.`);
  }
  const values = new Map<string, unknown>(Object.entries(json.value));
  return good({ bytes, members, member: (name) => byName.get(name), value: (name) => values.get(name) });
}

function invalid(message: string): Refused {
  return refuse(openAiError('invalid_value', message));
}

/** Of an object that is known to be valid. */
function membersOf(bytes: Buffer): BodyMember[] {
  const members: BodyMember[] = [];
  let at = afterSpace(bytes, afterSpace(bytes, 0) + 1);
  while (bytes[at] === quote) {
    const nameEnd = afterString(bytes, at);
    const valueFrom = afterSpace(bytes, afterSpace(bytes, nameEnd) + 1);
    const valueTo = afterValue(bytes, valueFrom);
    const name = JSON.parse(bytes.toString('utf8', at, nameEnd)) as string;
    members.push({ name, kind: kindOf(bytes[valueFrom]), at, valueFrom, valueTo });
    const end = afterSpace(bytes, valueTo);
    at = bytes[end] === comma ? afterSpace(bytes, end + 1) : end;
  }
  return members;
}

function afterSpace(bytes: Buffer, from: number): number {
  let at = from;
  while ((bytes[at] ?? quote) <= space) at += 1;
  return at;
}

function afterString(bytes: Buffer, from: number): number {
  let at = from + 1;
  while (bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at + 1;
}

function afterValue(bytes: Buffer, from: number): number {
  let at = from;
  let depth = 0;
  for (;;) {
    const byte = bytes[at];
    if (byte === quote) at = afterString(bytes, at);
    else if (byte === openBrace || byte === openBracket) {
      depth += 1;
      at += 1;
    } else if (depth > 0) {
      if (byte === closeBrace || byte === closeBracket) depth -= 1;
      at += 1;
    } else if (at === from) while (!endsScalar(bytes[at])) at += 1;
    if (depth === 0) return at;
  }
}

function endsScalar(byte = closeBrace): boolean {
  return byte === comma || byte === closeBrace || byte <= space;
}

function kindOf(first = 0): JsonKind {
  if (first === quote) return 'string';
  if (first === openBrace) return 'object';
  if (first === openBracket) return 'array';
  if (first === 0x74 || first === 0x66) return 'boolean';
  return first === 0x6e ? 'null' : 'number';
}
