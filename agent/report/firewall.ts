import { isRecord } from '../channel/messages.ts';

/** Whether ufw is switched on, from `/etc/ufw/ufw.conf`; undefined when the file does not say. */
export function parseUfwConfiguration(text: string): boolean | undefined {
  const [, value] = /^\s*ENABLED\s*=\s*["']?(yes|no)["']?\s*$/im.exec(text) ?? [];
  return value === undefined ? undefined : value.toLowerCase() === 'yes';
}

/**
 * Whether the rule set of `nft --json list ruleset` keeps anything out: a chain on the input hook that drops by
 * default or has at least one rule that drops or rejects. Undefined when the text is no rule set.
 */
export function parseNftRuleset(text: string): boolean | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || !Array.isArray(value['nftables'])) return undefined;
  const inputs = new Set<string>();
  let drops = false;
  for (const item of value['nftables']) {
    if (!isRecord(item)) continue;
    const { chain, rule } = item;
    if (isRecord(chain) && chain['hook'] === 'input') {
      inputs.add(chainKey(chain, 'name'));
      if (chain['policy'] === 'drop') drops = true;
    }
    if (isRecord(rule) && inputs.has(chainKey(rule, 'chain')) && Array.isArray(rule['expr'])) {
      if (rule['expr'].some((part) => isRecord(part) && ('drop' in part || 'reject' in part || 'jump' in part)))
        drops = true;
    }
  }
  return drops;
}

const chainKey = (item: Readonly<Record<string, unknown>>, name: string): string =>
  `${item['family']} ${item['table']} ${item[name]}`;
