// HTTP/1.1 as a client needs it for measuring: one request at a time on one socket, and no more work per byte than finding the end of the answer.
import { connect } from 'node:net';
import { nowMs } from '../clock.mjs';

const [head, sized, chunkSize, chunkData, trailer, toClose] = [0, 1, 2, 3, 4, 5];
const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');
const eventEnd = Buffer.from('\n\n');
const doneMark = Buffer.from('data: [DONE]');
const errorMark = Buffer.from('"error"');
const nothing = Buffer.alloc(0);

/** What one request came to. */
function fresh(askedMs) {
  return {
    status: 0,
    head: '',
    askedMs,
    firstMs: null,
    endedMs: null,
    events: 0,
    bytes: 0,
    whole: false,
    done: false,
    error: false,
    cause: null,
  };
}

export class Wire {
  /** `keep`: collects the body as text, for those who want to read it. */
  constructor(port, { host = '127.0.0.1', keep = false, onEvent = null } = {}) {
    this.keep = keep;
    this.onEvent = onEvent;
    this.answer = null;
    this.settle = null;
    this.state = head;
    this.left = 0;
    this.rest = nothing;
    this.text = '';
    this.closed = false;
    this.socket = connect({ host, port, noDelay: true });
    this.socket.on('data', (data) => this.take(data));
    this.socket.on('error', (error) => this.end(error.code ?? error.message));
    this.socket.on('close', () => this.end('closed'));
  }

  /** Resolves always: an answer that broke off has `whole` false and a `cause`. */
  ask(bytes, onFirst = null) {
    this.answer = fresh(nowMs());
    this.state = head;
    this.rest = nothing;
    this.text = '';
    this.onFirst = onFirst;
    if (this.closed) {
      this.answer.cause = 'closed before';
      return Promise.resolve(this.answer);
    }
    return new Promise((settle) => {
      this.settle = settle;
      this.socket.write(bytes);
    });
  }

  /** As a client that goes away. */
  leave() {
    this.closed = true;
    this.socket.destroy();
    this.end('left');
  }

  end(cause) {
    this.closed = true;
    if (this.settle === null) return;
    if (this.state === toClose && cause === 'closed') return this.finish();
    this.answer.cause = cause;
    this.answer.endedMs = nowMs();
    this.deliver();
  }

  finish() {
    this.answer.whole = true;
    this.answer.endedMs = nowMs();
    this.deliver();
  }

  deliver() {
    const { settle, answer } = this;
    this.settle = null;
    if (this.keep) answer.text = this.text;
    settle(answer);
  }

  take(data) {
    if (this.settle === null) return;
    let bytes = this.rest.length === 0 ? data : Buffer.concat([this.rest, data]);
    this.rest = nothing;
    while (bytes.length > 0 && this.settle !== null) {
      const used = this.step(bytes);
      if (used === 0) {
        this.rest = bytes;
        return;
      }
      bytes = used === bytes.length ? nothing : bytes.subarray(used);
    }
  }

  /** Takes what it can of the bytes and says how many; 0 = needs more. */
  step(bytes) {
    switch (this.state) {
      case head:
        return this.readHead(bytes);
      case sized: {
        const part = this.left < bytes.length ? bytes.subarray(0, this.left) : bytes;
        this.left -= part.length;
        this.body(part);
        if (this.left === 0) this.finish();
        return part.length;
      }
      case chunkSize: {
        const end = bytes.indexOf(lineEnd);
        if (end < 0) return 0;
        this.left = Number.parseInt(bytes.latin1Slice(0, end), 16);
        this.state = this.left === 0 ? trailer : chunkData;
        // The end of the data line counts with it.
        this.left += 2;
        return end + 2;
      }
      case chunkData: {
        const part = this.left < bytes.length ? bytes.subarray(0, this.left) : bytes;
        const ofBody = Math.min(part.length, this.left - 2);
        if (ofBody > 0) this.body(ofBody === part.length ? part : part.subarray(0, ofBody));
        this.left -= part.length;
        if (this.left === 0) this.state = chunkSize;
        return part.length;
      }
      case trailer:
        if (bytes.length < 2) return 0;
        this.finish();
        return bytes.length;
      default:
        this.body(bytes);
        return bytes.length;
    }
  }

  readHead(bytes) {
    const end = bytes.indexOf(headEnd);
    if (end < 0) return 0;
    const text = bytes.latin1Slice(0, end);
    this.answer.status = Number(text.slice(9, 12));
    this.answer.head = text;
    const length = /\r\ncontent-length: *(\d+)/i.exec(text);
    if (length) {
      this.left = Number(length[1]);
      this.state = sized;
      if (this.left === 0) this.finish();
    } else this.state = /\r\ntransfer-encoding: *chunked/i.test(text) ? chunkSize : toClose;
    return end + 4;
  }

  body(part) {
    const { answer } = this;
    if (answer.firstMs === null) {
      answer.firstMs = nowMs();
      this.onFirst?.(answer);
    }
    answer.bytes += part.length;
    let events = 0;
    for (let at = part.indexOf(eventEnd); at >= 0; at = part.indexOf(eventEnd, at + 2)) events += 1;
    if (events > 0) {
      answer.events += events;
      this.onEvent?.(events);
      if (!answer.done && part.includes(doneMark)) answer.done = true;
    }
    if (!answer.error && part.length < 4_096 && part.includes(errorMark)) answer.error = true;
    if (this.keep) this.text += part.latin1Slice();
  }
}

/** A request as bytes. */
export function encode({ path, headers = {}, body, host = '127.0.0.1' }) {
  const payload = Buffer.from(body);
  const lines = Object.entries({ host, 'content-type': 'application/json', 'content-length': payload.length, ...headers });
  return Buffer.concat([
    Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`),
    payload,
  ]);
}

/** One header of an answer; null when it is not there. */
export function headerOf({ head: text }, name) {
  return new RegExp(`\\r\\n${name}: *([^\\r]*)`, 'i').exec(text)?.[1] ?? null;
}
