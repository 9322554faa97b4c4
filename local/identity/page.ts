import type { DemoUser } from './users.ts';

/** What the sign-in page needs to know about the request behind it. */
export interface SignInPage {
  readonly action: string;
  readonly users: readonly DemoUser[];
  /** User name that the application suggests. */
  readonly hint?: string;
  /** The application asks for a second factor. */
  readonly mfa: boolean;
}

/** The local sign-in: choose a demo user, no password. Plain HTML, works without scripts. */
export function signInPage(page: SignInPage): string {
  const choices = page.users
    .map(
      (user, index) => `
      <label><input type="radio" name="user" value="${escapeHtml(user.name)}" ${
        (page.hint === undefined ? index === 0 : page.hint === user.name) ? 'checked' : ''
      } required> ${escapeHtml(user.displayName)} <small>${escapeHtml(user.name)}</small></label>`,
    )
    .join('');
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Sign in to Wardline (local)</title>
  <style>
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 10vh auto; padding: 0 1rem; }
    fieldset { border: 1px solid #7d8998; border-radius: 8px; }
    label { display: block; padding: .25rem 0; }
    small { color: #424650; }
    button { font: inherit; margin-top: 1rem; padding: .5rem 1.5rem; }
  </style>
</head>
<body>
  <h1>Sign in</h1>
  <p>This is the OpenID provider of the local cloud. It has demo users and no passwords.</p>
  <form method="post" action="${escapeHtml(page.action)}">
    <fieldset><legend>Who are you?</legend>${choices}
    </fieldset>
    <label><input type="checkbox" name="mfa" value="yes" ${page.mfa ? 'checked' : ''}> with a second factor (security key)</label>
    <button type="submit">Sign in</button>
  </form>
</body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
