// Peer, and the measure of all: a proxy that collects the body, dispatches it through an undici pool, and writes what comes. Nothing else.
import { createServer } from 'node:http';
import { Pool } from 'undici';
import { answerTo } from '../process.mjs';

class Relay {
  constructor(response) {
    this.response = response;
    this.controller = null;
    this.gone = false;
    response.on('close', () => {
      this.gone = true;
      if (!response.writableFinished) this.controller?.abort(new Error('the client left'));
    });
  }

  onRequestStart(controller) {
    this.controller = controller;
    if (this.gone) controller.abort(new Error('the client left'));
  }

  onResponseStart(_controller, status, headers) {
    const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...kept } = headers;
    this.response.writeHead(status, kept);
  }

  onResponseData(controller, chunk) {
    if (this.response.write(chunk)) return;
    controller.pause();
    this.response.once('drain', () => controller.resume());
  }

  onResponseEnd() {
    this.response.end();
  }

  onResponseError() {
    this.response.destroy();
  }
}

answerTo({
  open: async ({ upstream }) => {
    const pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 1_024, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
    const server = createServer((request, response) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
        const headers = { 'content-type': 'application/json', authorization: request.headers.authorization };
        pool.dispatch({ path: request.url, method: 'POST', headers, body }, new Relay(response));
      });
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', 4_096, done));
    return server.address().port;
  },
});
