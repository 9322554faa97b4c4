import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

/**
 * `npm run -s token -- --user NAME [--mfa]`: prints an access token of the local OpenID provider, and nothing else, so
 * that it can stand in `$(...)`. Reads where the provider is from `.wardline/local.json`.
 */
async function main(): Promise<void> {
  const user = readUser();
  const response = await fetch(`${readIssuer()}/local/token`, {
    method: 'POST',
    body: new URLSearchParams(user.mfa ? { user: user.name, mfa: 'yes' } : { user: user.name }),
  }).catch(() => fail('The local OpenID provider does not answer. Start the local cloud with: npm start'));
  if (!response.ok && response.status !== 404) {
    fail(`The local OpenID provider answered ${response.status}: ${await response.text()}`);
  }
  const answer: unknown = await response.json();
  if (typeof answer === 'object' && answer !== null) {
    if ('access_token' in answer && typeof answer.access_token === 'string') {
      console.log(answer.access_token);
      return;
    }
    if ('users' in answer && Array.isArray(answer.users)) {
      fail(`There is no demo user "${user.name}". The demo users are: ${answer.users.join(', ')}`);
    }
  }
  fail('The local OpenID provider answered something that is not a token.');
}

function readUser(): { name: string; mfa: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        user: { type: 'string' },
        mfa: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      console.log(
        `${usage}\n\nPrints an access token from the local OpenID provider, for use in $(...).\n\n  --user NAME  the demo user to sign in as\n  --mfa        sign in with a second factor`,
      );
      process.exit(0);
    }
    if (values.user !== undefined) return { name: values.user, mfa: values.mfa };
  } catch (error) {
    fail(`${error instanceof Error ? error.message : 'The arguments are not understood.'}\n${usage}`);
  }
  return fail(usage);
}

const usage = 'Usage: npm run -s token -- --user NAME [--mfa]   (for example: --user ada.admin)';

function readIssuer(): string {
  try {
    const settings: unknown = JSON.parse(readFileSync('.wardline/local.json', 'utf8'));
    if (
      typeof settings === 'object' &&
      settings !== null &&
      'issuer' in settings &&
      typeof settings.issuer === 'string'
    ) {
      return settings.issuer;
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      fail('The local cloud is not running (.wardline/local.json is missing). Start it with: npm start');
  }
  return fail('.wardline/local.json names no issuer. Start the local cloud again with: npm start');
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

await main();
