// One PostgreSQL process over a cluster that is prepared: started, stopped, started again on the same socket.
//
// 1. It has a session of its own, so that Ctrl-C at a terminal, which goes to every process in the foreground, does
//    not stop it before the server has written what it owes.
// 2. It does not outlive this process. A watchdog, a shell that waits at a pipe from here, stops it when the pipe
//    closes without a word: that is what `kill -9` of the server looks like. It has nothing to do otherwise.
// 3. There is no TCP port, and the socket's folder is private.
//
// Neighbours: `launcher.ts` prepares and keeps it running.

import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { StorageFault } from '../../engine/storage-port.ts'
import type { Account } from './account.ts'
import type { Binaries } from './binaries.ts'
import { childEnvironment } from './cluster.ts'
import { type EmbeddedLog, PostmasterLog } from './postmaster-log.ts'
import { running } from './previous.ts'
import { type RunFolder, SOCKET_PORT } from './run-folder.ts'

export interface PostmasterOptions {
  readonly binaries: Binaries
  readonly account: Account | null
  readonly cluster: string
  readonly runFolder: RunFolder
  readonly log: EmbeddedLog
  /** Of PostgreSQL, over ours. */
  readonly settings: Readonly<Record<string, string>>
}

/** Smart waits for sessions to end, fast ends them, immediate leaves recovery to the next start. */
export type StopMode = 'smart' | 'fast' | 'immediate'

const SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const
const STOP_MS_MAX = 60_000

/** On the command line, so that a new version of the server brings its own to an old cluster. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  port: String(SOCKET_PORT),
  unix_socket_permissions: '0700',
  cluster_name: 'flashq',
  max_connections: '300',
  max_wal_size: '2GB',
  checkpoint_timeout: '15min',
  jit: 'off',
  log_destination: 'stderr',
  logging_collector: 'off',
  log_line_prefix: '',
  log_min_messages: 'warning',
  log_checkpoints: 'off',
  // Statements, parameters and details ("failing row contains") may hold what clients sent.
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
  log_parameter_max_length_on_error: '0',
}

const READY = 'database system is ready to accept connections'
/** Backends of a postmaster that was killed end by themselves, soon. */
const LEFT_OVER = 'pre-existing shared memory block'
const LEFT_OVER_MS_MAX = 30_000
const LAST_WORDS_MS_MAX = 1000

/** `read` fails at the end of the pipe. Then: stop PostgreSQL, and when it is gone, remove its run folder. */
const WATCHDOG = `read word && exit
kill -INT "$1"
i=0
while kill -0 "$1" 2>/dev/null; do
  i=$((i + 1)); [ "$i" -lt 120 ] || exit
  sleep 1
done
rm -rf "$2"`

export class Postmaster {
  private readonly options: PostmasterOptions
  private readonly messages: PostmasterLog
  private child: ChildProcess | null = null
  private exited: Promise<void> = Promise.resolve()
  private isStopping = false
  /** Called when it ends although nobody stopped it; not when its start fails. */
  onDeath: (() => void) | null = null

  constructor(options: PostmasterOptions) {
    this.options = options
    this.messages = new PostmasterLog(options.log)
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.child?.pid
  }

  /** Resolves when it accepts connections; after a crash, when it has recovered. */
  async start(): Promise<void> {
    this.isStopping = false
    const deadlineMs = performance.now() + LEFT_OVER_MS_MAX
    while (!(await this.tryStart())) {
      const { tail } = this.messages
      if (tail.includes('lock file "postmaster.pid" already exists')) {
        throw running(this.options.cluster)
      }
      if (!tail.includes(LEFT_OVER) || performance.now() > deadlineMs) {
        throw new StorageFault('embedded_failed', `PostgreSQL does not start: ${tail}`, false)
      }
      await sleep(100)
      if (this.isStopping) throw new StorageFault('embedded_failed', 'stopped', false)
    }
  }

  /** Resolves when the process has ended. */
  async stop(mode: StopMode): Promise<void> {
    this.isStopping = true
    this.messages.isQuiet = true
    this.child?.kill(SIGNALS[mode])
    const late = setTimeout(() => this.child?.kill('SIGQUIT'), STOP_MS_MAX)
    await this.exited
    clearTimeout(late)
  }

  /** False when it ended instead. */
  private async tryStart(): Promise<boolean> {
    const { binaries, account, cluster, runFolder, settings } = this.options
    const all = { ...SETTINGS, unix_socket_directories: runFolder.path, ...settings }
    const child = spawn(
      join(binaries.folder, 'bin', 'postgres'),
      [
        '-D',
        cluster,
        ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      {
        ...account,
        cwd: '/',
        env: childEnvironment(),
        detached: true,
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    this.child = child
    this.messages.isQuiet = true
    this.messages.clear()
    const watchdog = this.watch(child.pid)
    let isReady = false
    this.exited = new Promise((resolve) => {
      const ended = (): void => {
        if (this.child !== child) return
        this.child = null
        // It ended by itself: the watchdog has nothing to stop.
        watchdog?.stdin?.end('over\n')
        resolve()
        if (isReady && !this.isStopping) this.onDeath?.()
      }
      child.once('exit', ended)
      child.once('error', (error) => {
        this.messages.line(error.message)
        ended()
      })
    })
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        if (this.messages.line(line) === READY) resolve()
      })
    })
    const closed = new Promise((resolve) => child.once('close', resolve))
    isReady = await Promise.race([ready.then(() => true), this.exited.then(() => false)])
    // Why it ended may still be on its way here.
    if (!isReady) await Promise.race([closed, sleep(LAST_WORDS_MS_MAX)])
    this.messages.isQuiet = !isReady
    return isReady
  }

  private watch(pid: number | undefined): ChildProcess | null {
    if (pid === undefined) return null
    const { account, runFolder } = this.options
    const watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'sh', String(pid), runFolder.path], {
      ...account,
      cwd: '/',
      env: childEnvironment(),
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    watchdog.unref()
    // Its end may come before the word to it.
    watchdog.stdin.on('error', () => {})
    watchdog.on('error', (error) => {
      this.options.log.warn({ err: error }, 'PostgreSQL has no watchdog: it may outlive the server')
    })
    return watchdog
  }
}
