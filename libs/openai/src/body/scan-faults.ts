// What a client is told about a body that is not one JSON object in UTF-8: where, and what to do.
import { type JsonFault, refuseJson } from '../json.js';
import { kernelFaults } from './scan-kernel.js';

type Refused = { readonly ok: false; readonly fault: JsonFault };

const longestNameTold = 64;

/** A member whose name is there already. Offsets of the two names. */
export function givenTwice(name: string, firstAt: number, at: number): Refused {
  const told = JSON.stringify(name.length > longestNameTold ? `${name.slice(0, longestNameTold)}...` : name);
  return refuseJson(`The body's member ${told} is given twice, at byte ${firstAt} and at byte ${at}. Send it once.`);
}

/** A fault of the grammar. `number` is one of `kernelFaults`. */
export function malformed(bytes: Buffer, number: number, at: number, deepest: number): Refused {
  if (number === kernelFaults.deep) return refuseJson(`The body is nested more than ${deepest} levels deep, at byte ${at}. Flatten it.`);
  if (at >= bytes.length) {
    if (blank(bytes)) return refuseJson('The body is empty; a JSON object is expected.');
    return refuseJson(`The body is not valid JSON: it ends at byte ${at}, before it is complete. Send it whole.`);
  }
  if (number === kernelFaults.control) {
    return refuseJson(`The body is not valid JSON: a bare ${byteTold(bytes, at)} in a string at byte ${at}. Escape control characters.`);
  }
  if (number === kernelFaults.escape) {
    return refuseJson(`The body is not valid JSON: a bad escape at byte ${at}. Write a backslash itself as \\\\.`);
  }
  if (bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf) {
    return refuseJson(`The body is not valid JSON: a byte order mark at byte ${at}. Leave it out.`);
  }
  return refuseJson(`The body is not valid JSON: unexpected ${byteTold(bytes, at)} at byte ${at}. Send one JSON object.`);
}

/** Bytes that are no UTF-8. */
export function notUtf8(bytes: Buffer): Refused {
  const at = firstBadByte(bytes);
  return refuseJson(`The body is not valid UTF-8: ${byteTold(bytes, at)} at byte ${at}. Send JSON in UTF-8.`);
}

function byteTold(bytes: Buffer, at: number): string {
  const byte = bytes[at] ?? 0;
  return byte > 0x20 && byte < 0x7f ? `'${String.fromCharCode(byte)}'` : `byte 0x${byte.toString(16).padStart(2, '0')}`;
}

function blank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09);
}

/** A decoder writes U+FFFD where bytes are bad; one that the client wrote itself is three good bytes. */
function firstBadByte(bytes: Buffer): number {
  const text = bytes.toString('utf8');
  let at = 0;
  let from = 0;
  for (;;) {
    const mark = text.indexOf('\ufffd', from);
    if (mark < 0) return at;
    at += Buffer.byteLength(text.slice(from, mark));
    if (!(bytes[at] === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd)) return at;
    at += 3;
    from = mark + 1;
  }
}
