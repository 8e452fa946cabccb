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

/** The hash as [high, low] unsigned 32-bit halves. Cost: below a microsecond for 36 bytes. */
export function sipHash24(key: SipKey, message: Uint8Array): readonly [number, number] {
  const state = new Int32Array(8);
  // v0..v3 as low, high pairs.
  state[0] = key[0] ^ 0x70736575;
  state[1] = key[1] ^ 0x736f6d65;
  state[2] = key[2] ^ 0x6e646f6d;
  state[3] = key[3] ^ 0x646f7261;
  state[4] = key[0] ^ 0x6e657261;
  state[5] = key[1] ^ 0x6c796765;
  state[6] = key[2] ^ 0x79746573;
  state[7] = key[3] ^ 0x74656462;
  const whole = message.length & ~7;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  for (let at = 0; at < whole; at += 8) compress(state, view.getUint32(at, true), view.getUint32(at + 4, true));
  const last = new Uint8Array(8);
  last.set(message.subarray(whole));
  last[7] = message.length & 0xff;
  const tail = new DataView(last.buffer);
  compress(state, tail.getUint32(0, true), tail.getUint32(4, true));
  state[4] = (state[4] ?? 0) ^ 0xff;
  for (let i = 0; i < 4; i += 1) round(state);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  return [(b ^ d ^ f ^ h) >>> 0, (a ^ c ^ e ^ g) >>> 0];
}

function compress(v: Int32Array, low: number, high: number): void {
  v[6] = (v[6] ?? 0) ^ low;
  v[7] = (v[7] ?? 0) ^ high;
  round(v);
  round(v);
  v[0] = (v[0] ?? 0) ^ low;
  v[1] = (v[1] ?? 0) ^ high;
}

function round(v: Int32Array): void {
  add(v, 0, 2);
  rotate(v, 2, 13);
  xor(v, 2, 0);
  rotate(v, 0, 32);
  add(v, 4, 6);
  rotate(v, 6, 16);
  xor(v, 6, 4);
  add(v, 0, 6);
  rotate(v, 6, 21);
  xor(v, 6, 0);
  add(v, 4, 2);
  rotate(v, 2, 17);
  xor(v, 2, 4);
  rotate(v, 4, 32);
}

/** v[to] += v[from] on 64-bit pairs. */
function add(v: Int32Array, to: number, from: number): void {
  const low = ((v[to] ?? 0) >>> 0) + ((v[from] ?? 0) >>> 0);
  v[to] = low | 0;
  v[to + 1] = ((v[to + 1] ?? 0) + (v[from + 1] ?? 0) + (low > 0xffffffff ? 1 : 0)) | 0;
}

function xor(v: Int32Array, to: number, from: number): void {
  v[to] = (v[to] ?? 0) ^ (v[from] ?? 0);
  v[to + 1] = (v[to + 1] ?? 0) ^ (v[from + 1] ?? 0);
}

function rotate(v: Int32Array, at: number, bits: number): void {
  const low = v[at] ?? 0;
  const high = v[at + 1] ?? 0;
  if (bits === 32) {
    v[at] = high;
    v[at + 1] = low;
    return;
  }
  v[at] = (low << bits) | (high >>> (32 - bits));
  v[at + 1] = (high << bits) | (low >>> (32 - bits));
}
