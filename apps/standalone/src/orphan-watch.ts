// Preloaded into supervised children: when the supervisor is gone (even by SIGKILL) the child ends itself in order, so that nothing is left running.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
