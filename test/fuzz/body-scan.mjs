// The body scanner beside JSON.parse: same verdict, same fields. `npm run fuzz:body [-- --runs N --seed S]`; 1,000,000 bodies if not told.
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { scanBody } from '../../dist/libs/openai/src/index.js';
import { anyBytes } from '../support/request-bodies.mjs';
import { slowScan } from '../support/slow-scan.mjs';

const { values: told } = parseArgs({ options: { runs: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } } });
const runs = Number(told.runs);
const firstSeed = Number(told.seed);
/** Each slice has a seed of its own: what fails is found again in seconds. */
const sliceRuns = 50_000;

const verdicts = new Map();

function same(bytes) {
  const slow = slowScan(bytes);
  const fast = scanBody(bytes);
  verdicts.set(slow.verdict, (verdicts.get(slow.verdict) ?? 0) + 1);
  assert.equal(fast.ok, slow.verdict === 'good', fast.ok ? `accepted, though ${slow.verdict}` : fast.fault.message);
  if (!fast.ok) {
    assert.equal(fast.fault.code, 'invalid_json');
    assert.equal(fast.fault.message.includes('given twice'), slow.verdict === 'a name twice', fast.fault.message);
    return;
  }
  const told = fast.value.members.map(({ name, valueFrom, valueTo }) => ({ name, value: bytes.toString('utf8', valueFrom, valueTo) }));
  assert.deepEqual(told, slow.members);
  // Nested keys with escapes are V8's own to confuse: see slow-scan.mjs.
  for (const { name, value } of told) if (!value.includes('\\')) assert.deepEqual(fast.value.value(name), JSON.parse(value));
}

const start = performance.now();
for (let done = 0, seed = firstSeed; done < runs; done += sliceRuns, seed += 1) {
  fc.assert(fc.property(anyBytes, same), { numRuns: Math.min(sliceRuns, runs - done), seed });
}
const seconds = ((performance.now() - start) / 1000).toFixed(0);
console.log(`${runs} bodies from seed ${firstSeed} in ${seconds} s, every verdict and every field the same:`);
console.table(
  [...verdicts].sort((a, b) => b[1] - a[1]).map(([verdict, bodies]) => ({ verdict, bodies, share: Number((bodies / runs).toFixed(4)) })),
);
