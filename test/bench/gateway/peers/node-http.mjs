// Peer: a proxy of node:http alone, pipes in both directions. What a first version looks like.
import { Agent, request as ask, createServer } from 'node:http';
import { answerTo } from '../process.mjs';

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

answerTo({
  open: async ({ upstream }) => {
    const server = createServer((request, response) => {
      const { host: _, connection: __, ...headers } = request.headers;
      const onward = ask({ host: '127.0.0.1', port: upstream, path: request.url, method: request.method, agent, headers }, (answer) => {
        const { connection: ___, 'keep-alive': ____, 'transfer-encoding': _____, ...kept } = answer.headers;
        response.writeHead(answer.statusCode, kept);
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      });
      onward.on('error', () => response.destroy());
      response.on('close', () => onward.destroy());
      request.pipe(onward);
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', 4_096, done));
    return server.address().port;
  },
});
