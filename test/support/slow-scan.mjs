// What a body is by JSON.parse and a walk over tokens: slow, short, and independent of the scanner that it judges.
import { isUtf8 } from 'node:buffer';

const mostLevels = 64;
const tokens = /"(?:[^"\\]|\\.)*"|[[\]{}:,]/gs;

/**
 * The members at the top and the levels of a text that is valid JSON. Values are told as text, for V8 since 13 confuses escaped keys of
 * objects: once a text with the key `\` was parsed, "\u0041" in the same place of another may be read as `\` (nodejs/node#63785).
 */
function outlineOf(text) {
  const members = [];
  let depth = 0;
  let levels = 0;
  let last = '';
  let valueFrom = 0;
  for (const { 0: token, index } of text.matchAll(tokens)) {
    const ends = depth === 1 && (token === ',' || token === '}');
    if (ends && members.length > 0) members[members.length - 1].value = text.slice(valueFrom, index).trim();
    if (token === '{' || token === '[') {
      depth += 1;
      levels = Math.max(levels, depth);
    } else if (token === '}' || token === ']') depth -= 1;
    else if (token === ':' && depth === 1) {
      members.push({ name: JSON.parse(last), value: '' });
      valueFrom = index + 1;
    }
    last = token;
  }
  return { members, levels };
}

/** The verdict on a body, and where it is good its members in their order. */
export function slowScan(bytes) {
  const text = bytes.toString('utf8');
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return { verdict: 'malformed' };
  }
  if (!isUtf8(bytes)) return { verdict: 'not UTF-8' };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { verdict: 'no object' };
  const { members, levels } = outlineOf(text);
  if (levels > mostLevels) return { verdict: 'too deep' };
  if (new Set(members.map(({ name }) => name)).size < members.length) return { verdict: 'a name twice' };
  return { verdict: 'good', members };
}
