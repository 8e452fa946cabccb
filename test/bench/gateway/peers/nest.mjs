// Peer: an ordinary Nest controller on Fastify that asks by undici and pipes the answer, as an application would write it.
import 'reflect-metadata';
import { Body, Controller, Module, Post, Res } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Pool } from 'undici';
import { answerTo } from '../process.mjs';

const mostBytes = 4 << 20;
let pool = null;

class ChatController {
  async complete(body, reply) {
    const answer = await pool.request({
      path: '/v1/chat/completions',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...kept } = answer.headers;
    answer.body.on('error', () => undefined);
    return await reply.status(answer.statusCode).headers(kept).send(answer.body);
  }
}
Controller('v1')(ChatController);
Post('chat/completions')(ChatController.prototype, 'complete', Object.getOwnPropertyDescriptor(ChatController.prototype, 'complete'));
Body()(ChatController.prototype, 'complete', 0);
Res()(ChatController.prototype, 'complete', 1);

class AppModule {}
Module({ controllers: [ChatController] })(AppModule);

answerTo({
  open: async ({ upstream }) => {
    pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 1_024, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
    const app = await NestFactory.create(AppModule, new FastifyAdapter({ bodyLimit: mostBytes }), { logger: false });
    await app.listen(0, '127.0.0.1');
    return app.getHttpServer().address().port;
  },
});
