// So many connections, each asking again as soon as it was answered.
import { Buffer } from 'node:buffer';
import { sleep } from '../clock.mjs';
import { Wire } from './wire.mjs';

const startSpreadMs = 600;
const endLimitMs = 10_000;

class Count {
  constructor() {
    this.reset();
  }

  reset() {
    Object.assign(this, { answers: 0, events: 0, failed: 0, latencyMs: [], firstMs: [], causes: {} });
  }

  add(answer, stream) {
    const good = answer.status === 200 && answer.whole && (!stream || answer.done);
    if (!good) {
      this.failed += 1;
      const cause = `${answer.status} ${answer.cause ?? (answer.whole ? 'no [DONE]' : '')}`;
      this.causes[cause] = (this.causes[cause] ?? 0) + 1;
      return;
    }
    this.answers += 1;
    this.latencyMs.push(answer.endedMs - answer.askedMs);
  }

  take() {
    const { answers, events, failed, latencyMs, firstMs, causes } = this;
    return { answers, events, failed, latencyMs, firstMs, causes };
  }
}

/** `request`: the bytes, as base64. Streams begin spread over their length, so that they do not march in step. */
export function closedLoop({ port, request, connections, stream }) {
  const bytes = Buffer.from(request, 'base64');
  const count = new Count();
  let stopping = false;
  const onEvent = (events) => {
    count.events += events;
  };
  const onFirst = (answer) => count.firstMs.push(answer.firstMs - answer.askedMs);
  const one = async (index) => {
    if (stream) await sleep((index / connections) * startSpreadMs);
    let wire = null;
    while (!stopping) {
      if (wire === null || wire.closed) wire = new Wire(port, { onEvent });
      count.add(await wire.ask(bytes, onFirst), stream);
      // A server that refuses at once must not turn this into a busy loop.
      if (wire.closed) await sleep(5);
    }
    wire?.leave();
  };
  const all = Promise.all(Array.from({ length: connections }, (_, index) => one(index)));
  return {
    count,
    stop: async () => {
      stopping = true;
      await Promise.race([all, sleep(endLimitMs)]);
    },
  };
}
