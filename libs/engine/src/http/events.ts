// Server-sent events out of a byte stream, with bounds: an endless line from a broken upstream must not fill our memory.

const longestEventBytes = 4 << 20;

export class EventStreamError extends Error {
  override readonly name = 'EventStreamError';
}

/** The `data` of each event, in order. Throws EventStreamError for an event beyond 4 MB. Works for LF and CRLF. */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let buffer = '';
  let data: string[] = [];
  for await (const chunk of body) {
    buffer += decoder.decode(chunk, { stream: true });
    if (buffer.length > longestEventBytes) throw new EventStreamError('an event of the upstream is longer than 4 MB');
    for (let end = buffer.indexOf('\n'); end >= 0; end = buffer.indexOf('\n')) {
      const line = buffer.slice(0, end).replace(/\r$/, '');
      buffer = buffer.slice(end + 1);
      if (line === '') {
        if (data.length > 0) yield data.join('\n');
        data = [];
      } else if (line.startsWith('data:')) {
        data.push(line.slice(line.startsWith('data: ') ? 6 : 5));
      }
    }
  }
  if (data.length > 0) yield data.join('\n');
}
