// SipHash-2-4, the keyed 64-bit hash of the coin: clients may choose their unit, so a hash whose key they do not know must decide.
// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). Written over 32-bit halves: BigInt would cost ten times as much.

/** 128-bit key as four 32-bit words, low word first. */
export type SipKey = readonly [number, number, number, number];

/** Key from 32 hex digits; shorter text is padded with zeros. */
export function sipKey(hex: string): SipKey {
  const bytes = Buffer.alloc(16);
  Buffer.from(hex, 'hex').copy(bytes, 0, 0, 16);
  return [bytes.readUInt32LE(0), bytes.readUInt32LE(4), bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
}

/** v0..v3 as low, high pairs. One for all hashes: nothing runs between the beginning of a hash and its end. */
const state = new Int32Array(8);

/**
 * The first 53 bits of the hash as a number in [0, 1): what a coin needs. Nothing is allocated. Cost: about 0.1 us for 36 bytes.
 */
export function sipPoint(key: SipKey, message: Uint8Array, length: number): number {
  digest(key, message, length);
  const high = ((state[1] ?? 0) ^ (state[3] ?? 0) ^ (state[5] ?? 0) ^ (state[7] ?? 0)) >>> 0;
  const low = ((state[0] ?? 0) ^ (state[2] ?? 0) ^ (state[4] ?? 0) ^ (state[6] ?? 0)) >>> 0;
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
}

/** The hash as [high, low] unsigned 32-bit halves. */
export function sipHash24(key: SipKey, message: Uint8Array): readonly [number, number] {
  digest(key, message, message.length);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  return [(b ^ d ^ f ^ h) >>> 0, (a ^ c ^ e ^ g) >>> 0];
}

function digest(key: SipKey, message: Uint8Array, length: number): void {
  state[0] = key[0] ^ 0x70736575;
  state[1] = key[1] ^ 0x736f6d65;
  state[2] = key[2] ^ 0x6e646f6d;
  state[3] = key[3] ^ 0x646f7261;
  state[4] = key[0] ^ 0x6e657261;
  state[5] = key[1] ^ 0x6c796765;
  state[6] = key[2] ^ 0x79746573;
  state[7] = key[3] ^ 0x74656462;
  const whole = length & ~7;
  for (let at = 0; at < whole; at += 8) compress(wordAt(message, at), wordAt(message, at + 4));
  let low = 0;
  let high = length << 24;
  for (let at = whole; at < length; at += 1) {
    const byte = message[at] ?? 0;
    const place = at - whole;
    if (place < 4) low |= byte << (8 * place);
    else high |= byte << (8 * (place - 4));
  }
  compress(low, high);
  state[4] = (state[4] ?? 0) ^ 0xff;
  rounds(4);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

function compress(low: number, high: number): void {
  state[6] = (state[6] ?? 0) ^ low;
  state[7] = (state[7] ?? 0) ^ high;
  rounds(2);
  state[0] = (state[0] ?? 0) ^ low;
  state[1] = (state[1] ?? 0) ^ high;
}

/** SipRounds on local variables (capital: the high half): in an array each step would be a load and a store. */
function rounds(count: number): void {
  let a = state[0] ?? 0;
  let A = state[1] ?? 0;
  let b = state[2] ?? 0;
  let B = state[3] ?? 0;
  let c = state[4] ?? 0;
  let C = state[5] ?? 0;
  let d = state[6] ?? 0;
  let D = state[7] ?? 0;
  for (let round = 0; round < count; round += 1) {
    let sum = (a >>> 0) + (b >>> 0);
    A = (A + B + (sum > 0xffffffff ? 1 : 0)) | 0;
    a = sum | 0;
    let low = b;
    b = ((low << 13) | (B >>> 19)) ^ a;
    B = ((B << 13) | (low >>> 19)) ^ A;
    low = a;
    a = A;
    A = low;
    sum = (c >>> 0) + (d >>> 0);
    C = (C + D + (sum > 0xffffffff ? 1 : 0)) | 0;
    c = sum | 0;
    low = d;
    d = ((low << 16) | (D >>> 16)) ^ c;
    D = ((D << 16) | (low >>> 16)) ^ C;
    sum = (a >>> 0) + (d >>> 0);
    A = (A + D + (sum > 0xffffffff ? 1 : 0)) | 0;
    a = sum | 0;
    low = d;
    d = ((low << 21) | (D >>> 11)) ^ a;
    D = ((D << 21) | (low >>> 11)) ^ A;
    sum = (c >>> 0) + (b >>> 0);
    C = (C + B + (sum > 0xffffffff ? 1 : 0)) | 0;
    c = sum | 0;
    low = b;
    b = ((low << 17) | (B >>> 15)) ^ c;
    B = ((B << 17) | (low >>> 15)) ^ C;
    low = c;
    c = C;
    C = low;
  }
  state[0] = a;
  state[1] = A;
  state[2] = b;
  state[3] = B;
  state[4] = c;
  state[5] = C;
  state[6] = d;
  state[7] = D;
}
