// The child's side of a measurement: each participant is a process that loads once, then runs what the main process asks, one thing at a time.

/** `open(config)` loads and resolves to `{ runs: { name: (ask) => Promise<result> }, close }`. */
export function participate(open) {
  let opened = null;
  const answer = async (message) => {
    if (message.do === 'open') {
      opened = await open(message.config);
      return { runs: Object.keys(opened.runs), about: opened.about ?? null };
    }
    if (message.do === 'close') {
      await opened?.close?.();
      setTimeout(() => process.exit(0), 20);
      return null;
    }
    const run = opened?.runs[message.do];
    if (!run) throw new Error(`this participant cannot ${message.do}`);
    return await run(message.ask);
  };
  process.on('message', (message) => {
    answer(message).then(
      (value) => process.send({ value }),
      (error) => process.send({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  process.on('disconnect', () => process.exit(0));
}
