// The small members of a body, each parsed from its own bytes and checked by its own rule: no schema walks over what is only passed on.
import type { z } from 'zod';
import type { BodyMember, ScannedBody } from './scanned-body.js';

const quote = 0x22;
const backslash = 0x5c;

/** By the name of the member. */
export type FieldRules = ReadonlyMap<string, z.ZodType>;

export function fieldRules(shape: Readonly<Record<string, z.ZodType>>): FieldRules {
  return new Map(Object.entries(shape));
}

/**
 * What `z.strictObject` of these rules makes of the body without its member `apart`, but for rules whose member is missing. Null when it would
 * refuse it, and where two readings might differ (names spelt with escapes): whoever has to say what is wrong, or to be sure, parses the body whole.
 */
export function readFields(body: ScannedBody, rules: FieldRules, apart: string): Record<string, unknown> | null {
  const { bytes, members } = body;
  const fields: Record<string, unknown> = {};
  for (const member of members) {
    const { name } = member;
    if (!isSpeltOut(bytes, member)) return null;
    if (name === apart) continue;
    const rule = rules.get(name);
    if (!rule || hidesNames(bytes, member)) return null;
    const read = rule.safeParse(body.value(name));
    if (!read.success) return null;
    fields[name] = read.data;
  }
  return fields;
}

/** The name stands in the body as it is. */
function isSpeltOut(bytes: Buffer, { at, name }: BodyMember): boolean {
  return bytes[at + 1 + name.length] === quote;
}

/** V8 may misread a name with escapes inside of an object, differently each time (nodejs/node#63785). */
function hidesNames(bytes: Buffer, { kind, valueFrom, valueTo }: BodyMember): boolean {
  if (kind !== 'object' && kind !== 'array') return false;
  for (let at = valueFrom; at < valueTo; at += 1) if (bytes[at] === backslash) return true;
  return false;
}
