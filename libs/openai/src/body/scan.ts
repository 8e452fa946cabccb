// The first look at a body, strict: one JSON object in UTF-8, no name twice at its top. Finds the members, builds nothing.
import { isUtf8 } from 'node:buffer';
import { type Outcome, ok } from '#libs/base';
import { deepestJson, type JsonFault } from '../json.js';
import { nameOf } from './member-names.js';
import { givenTwice, malformed, notUtf8 } from './scan-faults.js';
import { ScanKernel } from './scan-kernel.js';
import type { BodyMember, JsonKind, ScannedBody } from './scanned-body.js';

/** Up to here names are compared each with each; above, by a set, so that a body of a million names costs no square. */
const few = 16;

let kernel: ScanKernel | undefined;

/**
 * Accepts what JSON.parse accepts of the bytes read as UTF-8, if it is an object of at most 64 levels whose top names all differ once they
 * are unescaped. Names deeper down may repeat. The fault's code is `invalid_json`; its message has a byte offset and the remedy.
 * Time grows with the length alone: test/bench/body-scan.mjs. `bytes` is kept, not copied: it must not change while the result is used.
 * Throws RangeError above 64 MiB.
 */
export function scanBody(bytes: Buffer): Outcome<ScannedBody, JsonFault> {
  kernel ??= ScanKernel.load();
  kernel.take(bytes);
  const members: BodyMember[] = [];
  let escaped = false;
  for (let count = kernel.firstMembers(); ; count = kernel.moreMembers()) {
    if (count < 0) return malformed(bytes, kernel.fault, kernel.faultAt, deepestJson);
    for (let record = 0; record < count; record += 1) {
      members.push(memberOf(bytes, kernel, record));
      escaped ||= kernel.hasEscape(record);
    }
    if (!kernel.hasMore) break;
  }
  if (kernel.mayBeBeyondAscii && !isUtf8(bytes)) return notUtf8(bytes);
  const twice = firstTwice(members);
  if (twice) return givenTwice(twice.name, members.find(({ name }) => name === twice.name)?.at ?? 0, twice.at);
  return ok(new Scanned(bytes, members, escaped));
}

function memberOf(bytes: Buffer, from: ScanKernel, record: number): BodyMember {
  const at = from.place(record, 0);
  const valueFrom = from.place(record, 2);
  return {
    name: nameOf(bytes, at + 1, from.place(record, 1) - 1, from.hasEscape(record)),
    kind: kindOf(bytes[valueFrom] ?? 0),
    at,
    valueFrom,
    valueTo: from.place(record, 3),
  };
}

function kindOf(first: number): JsonKind {
  switch (first) {
    case 0x22:
      return 'string';
    case 0x7b:
      return 'object';
    case 0x5b:
      return 'array';
    case 0x74:
    case 0x66:
      return 'boolean';
    case 0x6e:
      return 'null';
    default:
      return 'number';
  }
}

function firstTwice(members: readonly BodyMember[]): BodyMember | undefined {
  if (members.length > few) {
    const met = new Set<string>();
    return members.find(({ name }) => met.size === met.add(name).size);
  }
  for (let i = 1; i < members.length; i += 1) {
    const later = members[i] as BodyMember;
    for (let j = 0; j < i; j += 1) if ((members[j] as BodyMember).name === later.name) return later;
  }
  return undefined;
}

class Scanned implements ScannedBody {
  private byName: Map<string, BodyMember> | undefined;

  constructor(
    readonly bytes: Buffer,
    readonly members: readonly BodyMember[],
    /** A name at the top is written with an escape. */
    private readonly escaped: boolean,
  ) {}

  member(name: string): BodyMember | undefined {
    const { members } = this;
    if (members.length > few) {
      this.byName ??= new Map(members.map((member) => [member.name, member]));
      return this.byName.get(name);
    }
    for (let i = 0; i < members.length; i += 1) if (members[i]?.name === name) return members[i];
    return undefined;
  }

  value(name: string): unknown {
    const member = this.member(name);
    if (!member) return undefined;
    const { bytes } = this;
    const { kind, valueFrom, valueTo } = member;
    if (kind === 'null') return null;
    if (kind === 'boolean') return bytes[valueFrom] === 0x74;
    return JSON.parse(bytes.toString('utf8', valueFrom, valueTo)) as unknown;
  }

  whole(): unknown {
    // V8 may give an escaped name as one that it met before in its place (nodejs/node#63785): what is checked must be what was routed by.
    if (this.escaped) return Object.fromEntries(this.members.map(({ name }) => [name, this.value(name)]));
    return JSON.parse(this.bytes.toString('utf8')) as unknown;
  }
}
