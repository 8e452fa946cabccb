// From a client's body to the upstream's: the same bytes, but for the fields that are ours. Nothing is parsed that need not be, and nothing is written anew.
import { type Outcome, ok } from '#libs/base';
import type { BodyMember, ScannedBody } from '#libs/openai';
import type { EngineFault } from '../../engine.js';
import type { RelayEndpoint, RelayRequest } from '../../relay.js';
import { constraintFields, mostChoices } from '../dialect.js';
import { faultOf } from '../faults.js';
import { relayed } from '../forwarded-fields.js';
import type { UpstreamFacts } from '../upstream-facts.js';
import { BodyWriter } from './body-writer.js';
import { SamplingSpelling, type SpelledField } from './sampling-spelling.js';
import { underSystemPrompt } from './system-prompt.js';

export interface RelayBody {
  /** The client's own where nothing had to change. */
  readonly bytes: Buffer;
  /** Likely tokens per place that are asked for; null: no log probabilities. */
  readonly askedTop: number | null;
  /** Whether what comes tells the entropy at temperature 1. */
  readonly bounds: boolean;
  /** Tokens that the answer may have, over all choices; 0: it is no text. */
  readonly outputTokens: number;
}

type Refused = { readonly ok: false; readonly fault: EngineFault };
type TextEndpoint = 'chat/completions' | 'completions';

/** Where nothing says how long an answer may be. */
const usualOutputTokens = 16_384;
const askedForUsage = '{"include_usage":true}';

/** Made once per loaded version. */
export class RelayBodies {
  private readonly model: string;
  private readonly spelling: SamplingSpelling;

  constructor(
    model: string,
    private readonly facts: UpstreamFacts,
  ) {
    this.model = JSON.stringify(model);
    this.spelling = new SamplingSpelling(facts);
  }

  /** `sampledTop`: likely tokens to ask for on our own account, for entropy; null: none. Faults: `engine.bad-request` for what the upstream cannot do. */
  build(request: RelayRequest, sampledTop: number | null): Outcome<RelayBody, EngineFault> {
    const { endpoint } = request;
    const writer = new BodyWriter(request.body);
    if (endpoint === 'chat/completions' || endpoint === 'completions') return this.buildText(writer, request, endpoint, sampledTop);
    const { members } = request.body;
    for (const [index, member] of members.entries()) {
      if (member.name === 'model') this.putModel(writer, request.body, index);
      else if (relayed[endpoint].has(member.name) && member.kind !== 'null') writer.keep(index);
    }
    const outputTokens = endpoint === 'embeddings' ? 0 : usualOutputTokens;
    return ok({ bytes: writer.bytes(), askedTop: null, bounds: false, outputTokens });
  }

  private buildText(
    writer: BodyWriter,
    request: RelayRequest,
    endpoint: TextEndpoint,
    sampledTop: number | null,
  ): Outcome<RelayBody, EngineFault> {
    const refused = this.refusal(request, endpoint);
    if (refused !== null) return refused;
    const { body, clientTop, systemPrompt, stream, choices } = request;
    const wantsUsage = stream && this.facts.usageInStreams;
    const said = new Map<SpelledField, unknown>();
    let saidUsage = false;
    for (const [index, member] of body.members.entries()) {
      const { name } = member;
      const field = this.spelling.fieldOf(name);
      if (name === 'model') this.putModel(writer, body, index);
      // Null means absent, as client libraries send it.
      else if (member.kind === 'null') continue;
      else if (name === 'messages' && systemPrompt !== undefined) underSystemPrompt(writer, body, member, systemPrompt);
      else if (relayed[endpoint].has(name) || (clientTop !== null && isLogprobField(name))) writer.keep(index);
      else if (field !== null) this.putSpelled(writer, said, { field, name, index, body, endpoint });
      else if (name === 'stream_options' && wantsUsage && textOf(body, member) === askedForUsage) {
        saidUsage = true;
        writer.keep(index);
      } else if (name === 'grammar') {
        const fields = constraintFields({ kind: 'gbnf', grammar: String(body.value(name)) }, this.facts.dialect, this.facts.version);
        if (fields === null) return refuse('the upstream enforces no grammars', name);
        for (const [as, value] of Object.entries(fields)) writer.put(pair(as, JSON.stringify(value)));
      }
    }
    this.putDefaults(writer, said, request);
    for (const text of this.spelling.missing(said)) writer.put(text);
    const askedTop = this.topOf(request, sampledTop);
    if (askedTop !== null && clientTop === null) writer.put(logprobFields(askedTop, endpoint));
    if (wantsUsage && !saidUsage) writer.put(pair('stream_options', askedForUsage));
    const most = said.get('max_tokens');
    return ok({
      bytes: writer.bytes(),
      askedTop,
      bounds: askedTop !== null && sampledTop !== null && (this.facts.rawLogprobs || temperatureOf(request) === 1),
      outputTokens: choices * (typeof most === 'number' ? most : usualOutputTokens),
    });
  }

  private refusal({ choices, clientTop }: RelayRequest, endpoint: TextEndpoint): Refused | null {
    const chat = endpoint === 'chat/completions';
    const facts = chat ? this.facts.chat : this.facts.completions;
    if (facts === null) {
      return chat
        ? refuse('the upstream serves no chat', 'messages')
        : refuse('the upstream serves no completions of plain text', 'prompt');
    }
    const most = mostChoices(this.facts.dialect);
    if (choices > most) return refuse(`the upstream gives ${most} choice per request, not ${choices}`, 'n');
    const top = facts.topLogprobs;
    if (clientTop === null || (top !== null && clientTop <= top)) return null;
    return refuse(
      top === null ? 'the upstream tells no log probabilities' : `the upstream tells at most ${top} log probabilities per token`,
      'top_logprobs',
    );
  }

  private topOf({ endpoint, body, stream, clientTop }: RelayRequest, sampledTop: number | null): number | null {
    if (clientTop !== null) return clientTop;
    const top = (endpoint === 'completions' ? this.facts.completions : this.facts.chat)?.topLogprobs ?? null;
    if (sampledTop === null || top === null) return null;
    // llama-server refuses log probabilities beside tools in a stream: the answer comes first.
    if (stream && this.facts.dialect === 'llama-server' && body.member('tools')?.kind === 'array') return null;
    return Math.min(sampledTop, top);
  }

  private putModel(writer: BodyWriter, body: ScannedBody, index: number): void {
    const member = body.members[index];
    if (member !== undefined && textOf(body, member) === this.model) writer.keep(index);
    else writer.put(pair('model', this.model));
  }

  private putSpelled(
    writer: BodyWriter,
    said: Map<SpelledField, unknown>,
    given: {
      readonly field: SpelledField;
      readonly name: string;
      readonly index: number;
      readonly body: ScannedBody;
      readonly endpoint: TextEndpoint;
    },
  ): void {
    const { field, name, index, body, endpoint } = given;
    // Of the two names of the longest answer the newer one counts where both are there; plain completions know only the older.
    const newer = 'max_completion_tokens';
    if (name === newer ? endpoint === 'completions' : name === 'max_tokens' && endpoint !== 'completions' && isGiven(body.member(newer)))
      return;
    const value = body.value(name);
    said.set(field, value);
    if (this.spelling.isNoCut(field, value)) return;
    const as = this.spelling.nameOf(field, endpoint);
    if (as === name) writer.keep(index);
    else writer.put(pair(as, JSON.stringify(value)));
  }

  private putDefaults(writer: BodyWriter, said: Map<SpelledField, unknown>, { body, defaults, endpoint }: RelayRequest): void {
    for (const name in defaults) {
      const value = defaults[name];
      if (value === null || value === undefined) continue;
      const field = this.spelling.fieldOf(name);
      if (field === null) {
        if (relayed[endpoint].has(name) && !isGiven(body.member(name))) writer.put(pair(name, JSON.stringify(value)));
      } else if (!said.has(field)) {
        said.set(field, value);
        if (!this.spelling.isNoCut(field, value)) writer.put(pair(this.spelling.nameOf(field, endpoint), JSON.stringify(value)));
      }
    }
  }
}

function isGiven(member: BodyMember | undefined): boolean {
  return member !== undefined && member.kind !== 'null';
}

function textOf({ bytes }: ScannedBody, { valueFrom, valueTo }: BodyMember): string {
  return bytes.toString('latin1', valueFrom, valueTo);
}

function isLogprobField(name: string): boolean {
  return name === 'logprobs' || name === 'top_logprobs';
}

/** The two endpoints spell it differently. */
function logprobFields(top: number, endpoint: RelayEndpoint): string {
  return endpoint === 'completions' ? `"logprobs":${top}` : `"logprobs":true,"top_logprobs":${top}`;
}

function temperatureOf({ body, defaults }: RelayRequest): unknown {
  return body.value('temperature') ?? defaults['temperature'] ?? 1;
}

function pair(name: string, json: string): string {
  return `${JSON.stringify(name)}:${json}`;
}

function refuse(message: string, param: string): Refused {
  return { ok: false, fault: faultOf('engine.bad-request', message, { field: param, remedy: 'Leave it out, or ask another version.' }) };
}
