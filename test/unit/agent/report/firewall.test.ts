import fc from 'fast-check';
import { parseNftRuleset, parseUfwConfiguration } from '../../../../agent/report/firewall.ts';

const chain = { family: 'inet', table: 'filter', name: 'input', hook: 'input', policy: 'accept' };
const rule = (expr: unknown[]) => ({ rule: { family: 'inet', table: 'filter', chain: 'input', expr } });
const ruleset = (...nftables: unknown[]): string => JSON.stringify({ nftables: [{ metainfo: {} }, ...nftables] });

test('ufw', () => {
  expect(parseUfwConfiguration('# comment\nENABLED=yes\nLOGLEVEL=low\n')).toBe(true);
  expect(parseUfwConfiguration('ENABLED="no"')).toBe(false);
  expect(parseUfwConfiguration('#ENABLED=yes')).toBeUndefined();
  expect(parseUfwConfiguration('ENABLED=perhaps')).toBeUndefined();
});

test('a rule set that keeps something out', () => {
  expect(parseNftRuleset(ruleset({ chain: { ...chain, policy: 'drop' } }))).toBe(true);
  expect(parseNftRuleset(ruleset({ chain }, rule([{ match: {} }, { reject: null }])))).toBe(true);
});

test('a rule set that lets everything in', () => {
  expect(parseNftRuleset(ruleset())).toBe(false);
  expect(parseNftRuleset(ruleset({ chain }, rule([{ counter: {} }, { accept: null }])))).toBe(false);
  expect(parseNftRuleset(ruleset({ chain: { ...chain, hook: 'output', policy: 'drop' } }))).toBe(false);
});

test('what is no rule set says nothing', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect([undefined, true, false]).toContain(parseNftRuleset(text));
    }),
  );
  expect(parseNftRuleset('')).toBeUndefined();
  expect(parseNftRuleset('{}')).toBeUndefined();
});
