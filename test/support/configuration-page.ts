// docs/configuration.md, made from the table of settings. `make docs` writes it.

import { type Setting, settings } from '../../src/config.ts'
import { defaultOf } from '../../src/help.ts'

export function configurationPage(): string {
  const rows = Object.values(settings) as Setting<unknown>[]
  return `# Configuration

<!-- Made from src/config.ts by \`make docs\`; a test fails when the two differ. -->

FlashQ is configured by environment variables alone; \`flashq-server --help\` prints this table. An empty
variable counts as not set. A value that is not allowed stops the start: every such variable is reported, with what is allowed.

| variable | default | allowed | meaning |
|---|---|---|---|
${rows.map(tableRow).join('\n')}

The command line takes \`--help\` and \`--version\`, nothing else.
`
}

function tableRow(setting: Setting<unknown>): string {
  const secret = setting.secret ? ' (a secret: never logged or printed)' : ''
  const cells = [
    `\`${setting.name}\``,
    defaultOf(setting),
    setting.allowed,
    setting.meaning + secret,
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}
