/** Templates that go through the parts of a content, as Llama Guard 3's, get parts; others get strings. */
import { describe, expect, it } from 'vitest';
import { ChatTemplate } from '../../../src/prompt/chat-template.js';

const PARTS =
  "{% for m in messages %}[{{ m.role }}]{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endfor %}";
const EITHER =
  '{% for m in messages %}{% if m.content is string %}S:{{ m.content }}{% else %}P:{{ m.content[0].text }}{% endif %}{% endfor %}';
const context = (content: string) => ({
  messages: [{ role: 'user', content }],
  documents: null,
  tools: null,
  add_generation_prompt: true,
});

describe('ChatTemplate', () => {
  it('gives parts to a template that goes through parts', () => {
    const template = new ChatTemplate(PARTS, '/nowhere');
    expect(template.takesParts).toBe(true);
    expect(template.fault).toBeUndefined();
    expect(template.render(context('Who hosts?'))).toBe('[user]Who hosts?');
  });

  it('gives strings where a template takes both', () => {
    expect(new ChatTemplate(EITHER, '/nowhere').render(context('Why?'))).toBe('S:Why?');
  });

  it('knows the special tokens while it looks', () => {
    const template = new ChatTemplate("{{ bos_token + '>' + messages[0].content }}", '/nowhere', { bos_token: '<s>' });
    expect([template.takesParts, template.fault]).toEqual([false, undefined]);
  });

  it('says so if no question is shown', () => {
    expect(new ChatTemplate("{{ raise_exception('never') }}", '/nowhere').fault).toContain('does not show');
    expect(new ChatTemplate('Hello', '/nowhere').fault).toContain('does not show');
  });
});
