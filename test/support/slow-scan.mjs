// What a body is by JSON.parse and a walk over tokens: slow, short, and independent of the scanner that it judges.
import { isUtf8 } from 'node:buffer';

const mostLevels = 64;
const tokens = /"(?:[^"\\]|\\.)*"|[[\]{}:]/gs;

/** The names at the top and the levels of a text that is valid JSON. */
function outlineOf(text) {
  const names = [];
  let depth = 0;
  let levels = 0;
  let last = '';
  for (const [token] of text.matchAll(tokens)) {
    if (token === '{' || token === '[') {
      depth += 1;
      levels = Math.max(levels, depth);
    } else if (token === '}' || token === ']') depth -= 1;
    else if (token === ':' && depth === 1) names.push(JSON.parse(last));
    last = token;
  }
  return { names, levels };
}

/** The verdict on a body, and where it is good its names in their order and its value. */
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
  const { names, levels } = outlineOf(text);
  if (levels > mostLevels) return { verdict: 'too deep' };
  if (new Set(names).size < names.length) return { verdict: 'a name twice' };
  return { verdict: 'good', names, value };
}
