// docs/cli.md, made from the table of commands. `make docs` writes it.

import { COMMANDS } from '../../sdk/typescript/src/cli/catalog.ts'
import { type CliCommand, COMMON_FLAGS } from '../../sdk/typescript/src/cli/command.ts'
import type { Flag } from '../../sdk/typescript/src/cli/flag.ts'
import { flagText, usageOf } from '../../sdk/typescript/src/cli/help.ts'

export function cliPage(): string {
  return `# The command line

<!-- Made from sdk/typescript/src/cli by \`make docs\`; a test fails when the two differ. -->

\`flashq\` comes with the client package: \`npx flashq …\`, also in this repository after \`make build\`.
It needs no configuration beyond where the server is.

\`\`\`sh
export FLASHQ_URL=flashq://localhost:6789      # the default
flashq push mail '{"to":"ann@example.org"}'
flashq push mail --file jobs.ndjson --priority 5
flashq pull mail --wait 10s --ack
flashq top
flashq tail --types failed,timeout
flashq jobs --queue mail --state failed --since 1h --json | jq '.jobs[].id'
\`\`\`

## Where the server is

| \`FLASHQ_URL\` or \`--url\` | speaks |
|---|---|
| \`flashq://[:token@]host[:6789]\` | the line protocol |
| \`flashqs://[:token@]host[:6789]\` | the line protocol over TLS |
| \`unix:/path/to/socket\` | the line protocol on a Unix socket |
| \`http://[:token@]host:6790\`, \`https://…\` | HTTP; \`workers\` and \`cluster\` need it |

The token is \`--token\`, else the URL's, else \`FLASHQ_TOKEN\`. The authority of a \`flashqs://\` server is given by \`--ca\`, and a certificate
of your own by \`--cert\` and \`--key\`; \`https://\` takes an authority from Node's \`NODE_EXTRA_CA_CERTS=ca.pem\`. In a list of processes a URL or a flag can be seen by others; an environment variable less so.

## For people, for programs

On a terminal: tables that fit its width, and colours (not with \`NO_COLOR\`). Control characters in names, data and errors are shown as escapes, never sent to the terminal.
Answers go to stdout; notes, questions, progress and complaints to stderr.

With \`--json\` stdout has JSON alone: one document, or one a line where a command gives many (NDJSON). Integers of any size stay exact. What cannot be undone asks first;
where nobody can be asked, it wants \`--yes\`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | the server refused it (stderr has one line with its words and its code), or the answer to a question was no |
| 2 | the command line is wrong, or this server's URL cannot do it |
| 3 | the server can't be reached, or does not answer |
| 4 | there is no such job or cron, or nothing to give |
| 130 | Ctrl-C. A second one ends the process at once. \`tail\` and \`top\` are left that way, with 0 |

## Completion

\`\`\`sh
source <(flashq completion bash)          # in ~/.bashrc
source <(flashq completion zsh)           # in ~/.zshrc, after compinit
flashq completion fish | source           # in ~/.config/fish/config.fish
\`\`\`

## Every command

Everywhere:

${flagTable(COMMON_FLAGS)}

Times are \`250ms\`, \`30s\`, \`5m\`, \`2h\`, \`1d\`, or a number of ms.

${COMMANDS.map(section).join('\n\n')}
`
}

function section(command: CliCommand): string {
  const parts = [`### ${command.name}`, `\`${usageOf(command)}\`: ${command.about}.`]
  if (command.detail !== undefined) parts.push(command.detail)
  if (command.flags.length > 0) parts.push(flagTable(command.flags))
  if (command.json !== undefined) parts.push(`\`--json\`: ${command.json}.`)
  return parts.join('\n\n')
}

function flagTable(flags: readonly Flag[]): string {
  const rows = flags.map((flag) => `| \`${cell(flagText(flag))}\` | ${cell(flag.about)} |`)
  return ['| flag | |', '|---|---|', ...rows].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
