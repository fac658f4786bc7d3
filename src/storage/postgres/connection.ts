// One session with PostgreSQL that comes back: connected when it is first needed, and again after it was lost.
//
// 1. One statement at a time; calls wait for those before them. Nothing is repeated here: who calls knows whether
//    a repetition is exact.
// 2. Whatever fails rejects with a StorageFault (`fault.ts`). No error of the driver is ever unhandled.
// 3. A session that does not answer in time is destroyed, because nobody knows what it will do: its socket is ours.
// 4. A success whose commit did not reach the synchronous standby is a retryable fault: it must not count.
// 5. The settings are made by a statement after connecting, not by start-up parameters: the address cannot
//    override them, and a pooler does not refuse them. No statement relies on them to be right, only to be quick.
// 6. A standby is never used: connecting to one fails, so the next attempt looks up the address again.
//
// Neighbours: `postgres-storage.ts`, `membership.ts`, `listener.ts` and the checkpoints have their own each.

import { Socket } from 'node:net'
import { Client, type QueryResultRow } from 'pg'
import { StorageFault } from '../../engine/storage-port.ts'
import { endsSession, faultOf, isUnreplicatedCommit } from './fault.ts'
import { quoteIdentifier } from './schema/identifier.ts'

export interface SessionSettings {
  readonly url: string
  readonly schema: string
  /** Who this is in `pg_stat_activity`: a taker finds and ends the sessions of a hung owner by it. */
  readonly applicationName: string
  /** The server gives up a statement after so long … */
  readonly statementTimeoutMs: number
  /** … and we give up the session after so long, from asking to the answer. */
  readonly answerTimeoutMs: number
  readonly connectTimeoutMs: number
  /** Waiting for a lock; 0 = as long as the statement may take. */
  readonly lockTimeoutMs: number
  /** `off`: a commit may be lost when PostgreSQL crashes, though what is left is whole. */
  readonly synchronousCommit: 'on' | 'off'
}

export interface Statement {
  /** Prepared once per session under this name; '' = not prepared. */
  readonly name: string
  readonly text: string
}

export interface Answer<Row> {
  readonly rows: readonly Row[]
  /** Of the command tag: INSERT, COMMIT, ROLLBACK, … */
  readonly command: string
}

/** What runs inside a transaction. */
export interface Session {
  /** For what `query` cannot do, e.g. COPY. */
  readonly client: Client
  query<Row extends QueryResultRow>(
    statement: Statement,
    values?: readonly unknown[],
  ): Promise<Answer<Row>>
}

export interface SessionListener {
  notified?(channel: string, payload: string): void
  /** The session is over; the next statement begins a new one. */
  lost?(fault: StorageFault): void
  /** There is a pooler between us and PostgreSQL. */
  pooled?(): void
}

/** A process that is stopped inside a transaction would hold its locks: the server ends that after so long. */
const IDLE_IN_TRANSACTION_MS = 1500
const KEEP_ALIVE_MS = 5000
const CLOSE_MS = 1000
const INT8 = 20

export class Connection {
  private readonly settings: SessionSettings
  private readonly listener: SessionListener
  private client: Client | null = null
  /** The one that is about to become `client`. */
  private opening: Client | null = null
  /** Of each client, so that a hung one can be destroyed in any state. */
  private readonly sockets = new WeakMap<Client, Socket>()
  private tail: Promise<unknown> = Promise.resolve()
  /** No more calls … */
  private closed = false
  /** … and no more sessions for those that wait. */
  private ended = false
  private unreplicated = false

  constructor(settings: SessionSettings, listener: SessionListener = {}) {
    this.settings = settings
    this.listener = listener
  }

  query<Row extends QueryResultRow>(
    statement: Statement,
    values: readonly unknown[] = [],
    answerTimeoutMs: number = this.settings.answerTimeoutMs,
  ): Promise<Answer<Row>> {
    return this.inTurn(async () =>
      this.ask<Row>(await this.connected(), statement, values, answerTimeoutMs),
    )
  }

  /**
   * Commits what `run` did; rolls back when it throws, and throws the same. `answerTimeoutMs` holds for each statement.
   */
  transaction<T>(
    run: (session: Session) => Promise<T>,
    answerTimeoutMs: number = this.settings.answerTimeoutMs,
  ): Promise<T> {
    return this.inTurn(async () => {
      const client = await this.connected()
      const session: Session = {
        client,
        query: (statement, values = []) => this.ask(client, statement, values, answerTimeoutMs),
      }
      await session.query(BEGIN)
      let result: T
      try {
        result = await run(session)
      } catch (error) {
        await this.rollBack(session)
        throw error
      }
      // A transaction that had failed answers COMMIT without an error, by having rolled back.
      const { command } = await session.query(COMMIT)
      if (command !== 'COMMIT') {
        throw new StorageFault('25P02', `PostgreSQL answered COMMIT with ${command}`, false)
      }
      return result
    })
  }

  /** Connects if it is not connected. */
  connect(): Promise<void> {
    return this.inTurn(async () => {
      await this.connected()
    })
  }

  /** Gives the session back when nothing is left to do on it; the next call begins another one. */
  rest(): Promise<void> {
    return this.inTurn(async () => {
      const client = this.client
      this.client = null
      if (client !== null) await this.sayGoodBye(client)
    })
  }

  /** Waits for what is under way, but not longer than `graceMs`, then says good-bye. Calls from now on fail. */
  async close(graceMs = CLOSE_MS): Promise<void> {
    this.closed = true
    const timer = setTimeout(() => {
      this.ended = true
      this.drop()
    }, graceMs)
    await this.tail
    clearTimeout(timer)
    if (this.client !== null) await this.sayGoodBye(this.client)
  }

  /** Ends the session at once, whatever it does. Calls under way fail with a retryable fault; later ones reconnect. */
  drop(): void {
    for (const client of [this.client, this.opening]) {
      if (client !== null) this.destroy(client)
    }
  }

  private async sayGoodBye(client: Client): Promise<void> {
    const timer = setTimeout(() => this.destroy(client), CLOSE_MS)
    await client.end().catch(() => undefined)
    clearTimeout(timer)
  }

  private inTurn<T>(run: () => Promise<T>): Promise<T> {
    if (this.closed) return Promise.reject(closedFault())
    const result = this.tail.then(run)
    this.tail = result.catch(() => undefined)
    return result
  }

  private async rollBack(session: Session): Promise<void> {
    // When even this fails, the session is dropped, and PostgreSQL rolls back by itself.
    if (this.client !== session.client) return
    await session.query(ROLLBACK).catch(() => this.destroy(session.client))
  }

  private async ask<Row extends QueryResultRow>(
    client: Client,
    statement: Statement,
    values: readonly unknown[],
    answerTimeoutMs: number,
  ): Promise<Answer<Row>> {
    this.unreplicated = false
    try {
      const answer = await withDeadline(
        answerTimeoutMs,
        client.query<Row>({
          text: statement.text,
          values: [...values],
          ...(statement.name === '' ? {} : { name: statement.name }),
        }),
      )
      if (this.unreplicated) throw unreplicatedFault()
      return answer
    } catch (error) {
      const fault = faultOf(error)
      if (endsSession(fault)) this.destroy(client, fault)
      throw fault
    }
  }

  private async connected(): Promise<Client> {
    if (this.client !== null) return this.client
    if (this.ended) throw closedFault()
    const client = this.newClient()
    this.opening = client
    try {
      // The driver's own time limit ends with the handshake; ours includes the settings.
      await withDeadline(
        this.settings.connectTimeoutMs,
        client.connect().then(() => this.prepare(client)),
      )
    } catch (error) {
      this.destroy(client)
      throw faultOf(error)
    } finally {
      this.opening = null
    }
    this.client = client
    return client
  }

  private newClient(): Client {
    const socket = new Socket()
    let client: Client
    try {
      client = new Client({
        connectionString: this.settings.url,
        // Set again below, whatever the address says. From the start, so that a session that hangs there has a name.
        application_name: this.settings.applicationName,
        stream: () => socket,
        keepAlive: true,
        keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      })
    } catch {
      // The error may quote the address, and so the password.
      throw new StorageFault('bad_url', 'DATABASE_URL is not an address of PostgreSQL', false)
    }
    this.sockets.set(client, socket)
    client.setTypeParser(INT8, Number)
    client.on('error', (error) => this.destroy(client, faultOf(error)))
    client.on('end', () => this.destroy(client))
    client.on('notice', (notice) => {
      if (isUnreplicatedCommit(notice)) this.unreplicated = true
    })
    client.on('notification', ({ channel, payload }) => {
      this.listener.notified?.(channel, payload ?? '')
    })
    return client
  }

  private async prepare(client: Client): Promise<void> {
    const { applicationName, schema, statementTimeoutMs, lockTimeoutMs } = this.settings
    const { rows } = await client.query<{ standby: boolean; pid: number }>(SETTINGS, [
      applicationName,
      quoteIdentifier(schema),
      String(statementTimeoutMs),
      String(lockTimeoutMs),
      String(IDLE_IN_TRANSACTION_MS),
      this.settings.synchronousCommit,
      String(KEEP_ALIVE_MS / 1000),
    ])
    const server = rows[0]
    if (server?.standby !== false) {
      throw new StorageFault('25006', 'PostgreSQL is a standby here: it cannot be written to', true)
    }
    if ('processID' in client && client.processID !== server.pid) this.listener.pooled?.()
  }

  private destroy(client: Client, fault = sessionEnded()): void {
    this.sockets.get(client)?.destroy()
    if (this.client !== client) return
    this.client = null
    if (!this.closed) this.listener.lost?.(fault)
  }
}

const BEGIN: Statement = { name: '', text: 'begin isolation level read committed' }
const COMMIT: Statement = { name: '', text: 'commit' }
const ROLLBACK: Statement = { name: '', text: 'rollback' }

/** `remote_apply` is stronger than `on` and stays, if the operator has chosen it. */
const SETTINGS = `
select pg_is_in_recovery() as standby, pg_backend_pid() as pid,
  set_config('application_name', $1, false), set_config('search_path', $2, false),
  set_config('statement_timeout', $3, false), set_config('lock_timeout', $4, false),
  set_config('idle_in_transaction_session_timeout', $5, false),
  set_config('synchronous_commit', case when $6 = 'on' and current_setting('synchronous_commit') = 'remote_apply'
    then 'remote_apply' else $6 end, false),
  set_config('default_transaction_isolation', 'read committed', false),
  set_config('tcp_keepalives_idle', $7, false), set_config('tcp_keepalives_interval', '1', false),
  set_config('tcp_keepalives_count', '5', false), set_config('jit', 'off', false),
  set_config('idle_session_timeout', '0', false),
  case when current_setting('transaction_timeout', true) is not null
    then set_config('transaction_timeout', '0', false) end`

async function withDeadline<T>(ms: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new StorageFault('timeout', `PostgreSQL has not answered within ${ms} ms`, true))
    }, ms)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
    // What comes too late fails because its session is destroyed then; nobody waits for it.
    answer.catch(() => undefined)
  }
}

function unreplicatedFault(): StorageFault {
  const text = 'PostgreSQL committed, but its wait for the synchronous standby was cancelled'
  return new StorageFault('01000', text, true)
}

function closedFault(): StorageFault {
  return new StorageFault('closed', 'PostgreSQL: the connection was closed', false)
}

function sessionEnded(): StorageFault {
  return new StorageFault('connection_lost', 'PostgreSQL: the session has ended', true)
}
