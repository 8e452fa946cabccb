// Loaded into the gateway's process by --import: collects garbage on request and says what is left. It touches nothing else.

process.on('message', ({ id, what }) => {
  if (what !== 'memory') return;
  globalThis.gc?.();
  // What the first collection makes unreachable by finalizers goes with the second.
  setImmediate(() => {
    globalThis.gc?.();
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    process.send?.({ id, value: { rss, heapUsed, external, arrayBuffers } });
  });
});
