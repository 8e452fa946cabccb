// The clients as a process of their own: closed loops that ask as fast as they are answered, or an open loop that asks on time whatever happens.
import { percentile } from '../../engine/measure.mjs';
import { nowMs, sleep } from '../clock.mjs';
import { answerTo } from '../process.mjs';
import { cpuSeconds, rssMb } from '../usage.mjs';
import { closedLoop } from './closed-loop.mjs';
import { openLoop } from './open-loop.mjs';

/** Runs a closed loop and measures a window in the middle of it: what begins and what ends it is not counted. */
async function measure({ port, request, connections, stream, warmMs, windowMs, pid }) {
  const loop = closedLoop({ port, request, connections, stream });
  await sleep(warmMs);
  loop.count.reset();
  const startMs = nowMs();
  const cpuBefore = cpuSeconds(pid);
  await sleep(windowMs);
  const cpuS = cpuSeconds(pid) - cpuBefore;
  const wallS = (nowMs() - startMs) / 1_000;
  const { answers, events, failed, latencyMs, firstMs, causes } = loop.count.take();
  const rss = rssMb(pid);
  await loop.stop();
  return {
    requestsPerS: answers / wallS,
    eventsPerS: events / wallS,
    cpuUsPerRequest: answers > 0 ? (cpuS / answers) * 1e6 : null,
    cpuUsPerEvent: events > 0 ? (cpuS / events) * 1e6 : null,
    busy: cpuS / wallS,
    latencyP50Ms: percentile(latencyMs, 0.5),
    latencyP99Ms: percentile(latencyMs, 0.99),
    firstP50Ms: percentile(firstMs, 0.5),
    firstP99Ms: percentile(firstMs, 0.99),
    rssMb: rss,
    answers,
    failed,
    causes,
  };
}

answerTo({ measure, openLoop });
