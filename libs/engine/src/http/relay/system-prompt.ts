// The version's own system prompt, put before the client's messages without reading more than the first of them.
import { type BodyMember, closingQuote, type ScannedBody, textOf, type WireMessage } from '#libs/openai';
import type { BodyWriter } from './body-writer.js';

const quote = 0x22;

/** Templates know one system message: the version's words come first, the client's after them. `messages` is an array of objects. */
export function underSystemPrompt(writer: BodyWriter, { bytes }: ScannedBody, messages: BodyMember, systemPrompt: string): void {
  const from = afterSpace(bytes, messages.valueFrom + 1);
  const end = endOfObject(bytes, from);
  const first = end > from ? (JSON.parse(bytes.toString('utf8', from, end)) as WireMessage) : null;
  if (first?.role !== 'system') {
    const comma = first === null ? '' : ',';
    writer.putBefore(`"messages":[${messageOf(systemPrompt)}${comma}`, from, messages.valueTo);
  } else {
    writer.putBefore(`"messages":[${messageOf(`${systemPrompt}\n\n${textOf(first.content)}`)}`, end, messages.valueTo);
  }
}

function messageOf(content: string): string {
  return `{"role":"system","content":${JSON.stringify(content)}}`;
}

function afterSpace(bytes: Buffer, from: number): number {
  let at = from;
  while ((bytes[at] ?? 0x7f) <= 0x20) at += 1;
  return at;
}

/** Behind the object that begins at `from`; `from` itself when none does. The body is valid JSON. */
function endOfObject(bytes: Buffer, from: number): number {
  if (bytes[from] !== 0x7b) return from;
  let depth = 0;
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === quote) at = closingQuote(bytes, at + 1);
    else if (byte === 0x7b) depth += 1;
    else if (byte === 0x7d) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  throw new Error('the body was not checked: its first message has no end');
}
