// A conversation of plain texts by the places of its texts: what routing looks at, without reading the rest.
import type { BodyMember, ScannedBody } from './scanned-body.js';
import { beginningOf, closingQuote } from './strings.js';

const quote = 0x22;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const closeBracket = 0x5d;

/** Of whom a plain text can be. An answer to a tool call needs more than a text. */
const plainRoles = ['user', 'assistant', 'system', 'developer'] as const;
type PlainRole = (typeof plainRoles)[number];

/** A message that has a role and a text and nothing else. `from` and `to`: the text between its quotes, as it is spelt. */
export interface PlainMessage {
  readonly role: PlainRole;
  readonly from: number;
  readonly to: number;
}

export class MessagesOutline {
  constructor(
    private readonly bytes: Buffer,
    /** Up to the user's first words, with them; all when the user says nothing. */
    private readonly opening: readonly PlainMessage[],
    /** The user's last words; the last of all when the user says nothing. */
    private readonly last: PlainMessage,
  ) {}

  /** As `textOf` gives it for the user's last message, or at least its first `units` UTF-16 units. */
  lastWords(units: number): string {
    return beginningOf(this.bytes, this.last.from, this.last.to, units);
  }

  /** The opening messages in their order, each text whole or at least its first `units` UTF-16 units. */
  *firstWords(units: number): Generator<{ readonly role: PlainRole; readonly text: string }, void, undefined> {
    for (const { role, from, to } of this.opening) yield { role, text: beginningOf(this.bytes, from, to, units) };
  }
}

/** Null for anything but 1 to `most` plain messages: whoever needs to know what else it is parses it. Cost: some 0.1 µs per message. */
export function outlineMessages({ bytes }: ScannedBody, { kind, valueFrom }: BodyMember, most: number): MessagesOutline | null {
  if (kind !== 'array') return null;
  const opening: PlainMessage[] = [];
  let lastOfUser: PlainMessage | null = null;
  let at = afterSpace(bytes, valueFrom + 1);
  for (let count = 1; count <= most; count += 1) {
    const message = new MessageWalk(bytes);
    at = message.walk(at);
    if (at < 0) return null;
    if (lastOfUser === null) opening.push(message);
    if (message.role === 'user') lastOfUser = message;
    if (bytes[at] === closeBracket) return new MessagesOutline(bytes, opening, lastOfUser ?? message);
    at = afterSpace(bytes, at + 1);
  }
  return null;
}

class MessageWalk implements PlainMessage {
  role: PlainRole = 'user';
  from = -1;
  to = -1;

  constructor(private readonly bytes: Buffer) {}

  /** At what follows the message; -1 when it is no plain one. A name twice, or spelt with escapes, is for JSON.parse to make sense of. */
  walk(from: number): number {
    const { bytes } = this;
    if (bytes[from] !== openBrace) return -1;
    let at = from;
    for (let hasRole = false; ; ) {
      const name = afterSpace(bytes, at + 1);
      if (isQuoted(bytes, name, 'role')) {
        at = valueAt(bytes, name + 6);
        const role = plainRoles.find((one) => isQuoted(bytes, at, one));
        if (hasRole || role === undefined) return -1;
        hasRole = true;
        this.role = role;
        at += role.length + 2;
      } else if (isQuoted(bytes, name, 'content')) {
        at = valueAt(bytes, name + 9);
        if (this.from >= 0 || bytes[at] !== quote) return -1;
        this.from = at + 1;
        this.to = closingQuote(bytes, at + 1);
        at = this.to + 1;
      } else return -1;
      at = afterSpace(bytes, at);
      if (bytes[at] === closeBrace) return hasRole && this.from >= 0 ? afterSpace(bytes, at + 1) : -1;
    }
  }
}

/** The very spelling, between quotes. */
function isQuoted(bytes: Buffer, at: number, word: string): boolean {
  if (bytes[at] !== quote || bytes[at + word.length + 1] !== quote) return false;
  for (let place = 0; place < word.length; place += 1) if (bytes[at + 1 + place] !== word.charCodeAt(place)) return false;
  return true;
}

/** Where a member's value begins. `at`: behind its name. */
function valueAt(bytes: Buffer, at: number): number {
  const found = afterSpace(bytes, at);
  return bytes[found] === colon ? afterSpace(bytes, found + 1) : found;
}

function afterSpace(bytes: Buffer, from: number): number {
  let at = from;
  while ((bytes[at] ?? 0x7f) <= 0x20) at += 1;
  return at;
}
