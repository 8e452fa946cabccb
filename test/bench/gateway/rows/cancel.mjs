// Row 7: clients that go away, in streams and in whole answers, at random moments. When does the upstream hear of it, and does it hear of every one?
import { percentile } from '../../engine/measure.mjs';
import { nowMs, sleep, until } from '../clock.mjs';
import { line } from '../goals.mjs';
import { encode, Wire } from '../load/wire.mjs';
import { chat } from '../requests.mjs';
import { register, upstreamSpec } from '../serin/rollouts.mjs';
import { withScene } from './scene.mjs';

const atOnce = 32;
const longestWaitMs = 300;
const settleMs = 2_000;

/** Asks, waits a random while, leaves; resolves to when it left, or null when the answer was already whole. */
async function cancelOne({ port, path, headers }, ref, stream) {
  const model = stream ? 'paced' : 'slow';
  const wire = new Wire(port);
  const answer = wire.ask(encode({ path, headers, body: chat({ model, stream, note: `ref:${ref}` }) }));
  await Promise.race([answer, sleep(Math.random() * longestWaitMs)]);
  if (wire.closed) return null;
  const leftMs = nowMs();
  wire.leave();
  return (await answer).whole ? null : leftMs;
}

export const cancelRow = {
  row: 7,
  title: 'cancels',
  run: async ({ quick }) => {
    const cancels = quick ? 100 : 1_000;
    const prepare = async ({ database, upstreamPort }) => {
      await register(database, 'paced', { v1: upstreamSpec(upstreamPort, 'mock-paced') }, 'v1');
      await register(database, 'slow', { v1: upstreamSpec(upstreamPort, 'mock-slow') }, 'v1');
      return 2;
    };
    return await withScene({ prepare }, async (scene) => {
      const left = new Map();
      let next = 0;
      const client = async () => {
        while (next < cancels) {
          const at = next++;
          const leftMs = await cancelOne(scene, `cancel-${at}`, at % 2 === 0);
          if (leftMs !== null) left.set(`cancel-${at}`, { leftMs, stream: at % 2 === 0 });
        }
      };
      await Promise.all(Array.from({ length: atOnce }, client));
      await until(async () => (await scene.upstream.ask('seen')).open === 0, 'the upstream to be idle', settleMs).catch(() => undefined);
      const orphans = (await scene.upstream.ask('seen')).open;
      const refs = await scene.upstream.ask('refs');
      const took = { true: [], false: [] };
      let unheard = 0;
      for (const [ref, { leftMs, stream }] of left) {
        const seen = refs[ref];
        // It left before its request was sent on, or the answer was just complete: nothing to cancel.
        if (!seen || seen.finished) continue;
        if (seen.closedMs === null) unheard += 1;
        else took[stream].push(Math.max(0, seen.closedMs - Math.max(leftMs, seen.arrivedMs)));
      }
      const streamP99Ms = percentile(took.true, 0.99);
      const wholeP99Ms = percentile(took.false, 0.99);
      return {
        cancels: left.size,
        measured: { streams: took.true.length, whole: took.false.length },
        streamP50Ms: percentile(took.true, 0.5),
        streamP99Ms,
        wholeP50Ms: percentile(took.false, 0.5),
        wholeP99Ms,
        orphans,
        goals: [
          line(7, 'cancel reaches the upstream, streams, p99 ms', streamP99Ms, { atMost: 50 }),
          line(7, 'cancel reaches the upstream, whole answers, p99 ms', wholeP99Ms, { atMost: 50 }),
          line(7, `upstream requests orphaned by ${left.size} cancels`, orphans + unheard, { atMost: 0 }),
        ],
      };
    });
  },
};
