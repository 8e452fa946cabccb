// Greedy answers by node-llama-cpp's own evaluation, one question at a time: the other side of the agreement spec.
import { getLlama, LlamaLogLevel, resolveChatWrapper } from 'node-llama-cpp';

process.on('message', async ({ file, questions, maxTokens }) => {
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: 1 });
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
  const context = await model.createContext({ contextSize: 512, sequences: 1, threads: 1 });
  const sequence = context.getSequence();
  const wrapper = resolveChatWrapper(model);
  const answers = [];
  for (const content of questions) {
    const history = [
      { type: 'user', text: content },
      { type: 'model', response: [] },
    ];
    const tokens = wrapper.generateContextState({ chatHistory: history }).contextText.tokenize(model.tokenizer);
    const { bos } = model.tokens;
    const prompt = bos !== null && model.tokens.shouldPrependBosToken && tokens[0] !== bos ? [bos, ...tokens] : tokens;
    await sequence.clearHistory();
    const answer = [];
    for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
      if (model.isEogToken(token)) break;
      answer.push(token);
      if (answer.length >= maxTokens) break;
    }
    answers.push(model.detokenize(answer, false));
  }
  process.send(answers, () => process.exit(0));
});
