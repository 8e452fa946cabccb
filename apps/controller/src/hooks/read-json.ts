// JSON from outside, after its signature was judged: strict UTF-8, bounded depth, and a reason when it is none.
import { fail, type Outcome, ok } from '#libs/base';

/** Far more than any version or plan needs. */
const deepest = 32;

/** Nesting of a JSON text, without building it: a few bytes of brackets must not cost a deep recursion later. Stops beyond `limit`. */
function depthOf(text: string, limit: number): number {
  let depth = 0;
  let most = 0;
  let inString = false;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > most) most = depth;
      if (most > limit) return most;
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return most;
}

/** Faults: `request.malformed`, `request.too-deep`. */
export function readJson(bytes: Uint8Array): Outcome<unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return malformed('it is not UTF-8');
  }
  if (depthOf(text, deepest) > deepest) {
    return fail({
      code: 'request.too-deep',
      message: `The body is nested deeper than ${deepest} levels.`,
      field: '',
      remedy: 'Send {"type": "version.deployed", "model": ..., "version": {...}}: five levels are enough.',
    });
  }
  try {
    return ok(JSON.parse(text));
  } catch (error) {
    return malformed(error instanceof Error ? error.message : 'unknown reason');
  }
}

function malformed(why: string): Outcome<never> {
  return fail({
    code: 'request.malformed',
    message: `The body is not JSON: ${why}.`,
    field: '',
    remedy: 'Send one well-formed JSON object.',
  });
}
