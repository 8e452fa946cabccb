// From callbacks to `for await`: events of one request in order, with an end or an error.

/** Unbounded in events, bounded by what a request may generate; the producer never waits for a slow reader. */
export class EventQueue<T> implements AsyncIterable<T> {
  private readonly events: T[] = [];
  private wake: (() => void) | null = null;
  private ended = false;
  private error: Error | null = null;

  /** True once nothing more will come. */
  get settled(): boolean {
    return this.ended || this.error !== null;
  }

  push(event: T): void {
    this.events.push(event);
    this.wake?.();
  }

  end(): void {
    this.ended = true;
    this.wake?.();
  }

  /** Events that came before are still delivered. */
  fail(error: Error): void {
    this.error ??= error;
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const event = this.events.shift();
      if (event !== undefined) {
        yield event;
        continue;
      }
      if (this.error) throw this.error;
      if (this.ended) return;
      await new Promise<void>((done) => {
        this.wake = done;
      });
      this.wake = null;
    }
  }
}
