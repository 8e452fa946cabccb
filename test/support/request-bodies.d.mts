import type { Arbitrary } from 'fast-check';

/** Texts of bodies: good ones and ones with a fault that is no fault of JSON. */
export const chatText: Arbitrary<string>;
export const completionText: Arbitrary<string>;

/** The bytes of such texts; about half of them spoiled in a few places. */
export const chatBytes: Arbitrary<Buffer>;
export const plainChatBytes: Arbitrary<Buffer>;
export const completionBytes: Arbitrary<Buffer>;
/** Any object, with names that repeat and nesting near the limit. */
export const objectBytes: Arbitrary<Buffer>;
export const anyBytes: Arbitrary<Buffer>;
