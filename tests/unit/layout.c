/*
 * Layouts of the public structs, and numbers, which programs are compiled with; docs/versions.md
 * has the rules. It is held when this is compiled, on 64-bit machines; there is nothing to run.
 *
 * A struct whose size travels with the call, or that only the library makes, may get slots at its
 * end. Then its SIZE here is raised, and an AT is added for the slot, which begins where the struct
 * has ended in the last release: not in the padding at its end, which an older program does not
 * zero. That is why the structs that have such padding are set as a whole below; a new slot does
 * not compile there until somebody has looked.
 */
#include <stddef.h>
#include <stdio.h>

#include <berth/berth.h>

#if __SIZEOF_POINTER__ == 8 && __SIZEOF_LONG__ == 8

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "the size of " #type)
#define AT(type, slot, bytes) \
    _Static_assert(offsetof(type, slot) == (bytes), "the place of " #slot " in " #type)

/* ---- values: neither size nor slots ever change ---- */

SIZE(berth_address, 33);
AT(berth_address, family, 0);
AT(berth_address, bytes, 1);
AT(berth_address, scope, 17);

SIZE(berth_subnet, 34);
AT(berth_subnet, address, 0);
AT(berth_subnet, prefix, 33);

SIZE(berth_proxy, 32);
AT(berth_proxy, type, 0);
AT(berth_proxy, port, 4);
AT(berth_proxy, host, 8);
AT(berth_proxy, user, 16);
AT(berth_proxy, password, 24);

SIZE(berth_proxy_texts, 768);
AT(berth_proxy_texts, host, 0);
AT(berth_proxy_texts, user, 256);
AT(berth_proxy_texts, password, 512);

SIZE(berth_proxy_header, 76);
AT(berth_proxy_header, version, 0);
AT(berth_proxy_header, source, 4);
AT(berth_proxy_header, source_port, 38);
AT(berth_proxy_header, destination, 40);
AT(berth_proxy_header, destination_port, 74);

SIZE(berth_piece, 16);
AT(berth_piece, data, 0);
AT(berth_piece, size, 8);

SIZE(berth_allocator, 24);
AT(berth_allocator, allocate, 0);
AT(berth_allocator, reallocate, 8);
AT(berth_allocator, release, 16);

SIZE(berth_tls_ticket_key, 80);
AT(berth_tls_ticket_key, name, 0);
AT(berth_tls_ticket_key, secret, 16);

/* ---- structs whose size travels with the call ---- */

SIZE(berth_loop_options, 8);
AT(berth_loop_options, backend, 0);

SIZE(berth_server_handlers, 72);
AT(berth_server_handlers, new_connection, 0);
AT(berth_server_handlers, accept_error, 8);
AT(berth_server_handlers, incoming_connection, 16);
AT(berth_server_handlers, has_pending_connections, 24);
AT(berth_server_handlers, next_pending_connection, 32);
AT(berth_server_handlers, emptied, 40); // since 0.2
AT(berth_server_handlers, client_hello, 48);
AT(berth_server_handlers, handshake_failed, 56);
AT(berth_server_handlers, pending_connection_available, 64);

SIZE(berth_socket_handlers, 96);
AT(berth_socket_handlers, ready_read, 0);
AT(berth_socket_handlers, bytes_written, 8);
AT(berth_socket_handlers, connected, 16);
AT(berth_socket_handlers, disconnected, 24);
AT(berth_socket_handlers, error_occurred, 32);
AT(berth_socket_handlers, state_changed, 40);
AT(berth_socket_handlers, read_channel_finished, 48);
AT(berth_socket_handlers, host_found, 56);
AT(berth_socket_handlers, drained, 64);
AT(berth_socket_handlers, draining, 72); // since 0.2
AT(berth_socket_handlers, encrypted, 80);
AT(berth_socket_handlers, verify_peer, 88);

SIZE(berth_workers_handlers, 48);
AT(berth_workers_handlers, started, 0);
AT(berth_workers_handlers, stopping, 8);
AT(berth_workers_handlers, connection, 16);
AT(berth_workers_handlers, failed, 24);
AT(berth_workers_handlers, client_hello, 32); // since 0.2
AT(berth_workers_handlers, handshake_failed, 40);

SIZE(berth_handover_handlers, 24);
AT(berth_handover_handlers, succeeded, 0);
AT(berth_handover_handlers, failed, 8);
AT(berth_handover_handlers, taking, 16);

SIZE(berth_accept_limits, 20);
AT(berth_accept_limits, per_address, 0);
AT(berth_accept_limits, ipv4_prefix, 4);
AT(berth_accept_limits, ipv6_prefix, 5);
AT(berth_accept_limits, per_second, 8);
AT(berth_accept_limits, burst, 12);
AT(berth_accept_limits, shed, 16);

SIZE(berth_connection_limits, 32);
AT(berth_connection_limits, first_byte, 0);
AT(berth_connection_limits, idle, 4);
AT(berth_connection_limits, lifetime, 8);
AT(berth_connection_limits, minimum_rate, 12);
AT(berth_connection_limits, rate_window, 16);
AT(berth_connection_limits, output, 24);

SIZE(berth_server_counts, 240);
AT(berth_server_counts, accepted, 0);
AT(berth_server_counts, added, 8);
AT(berth_server_counts, taken, 16);
AT(berth_server_counts, pending, 24);
AT(berth_server_counts, handed_over, 32);
AT(berth_server_counts, rejected_address, 40);
AT(berth_server_counts, rejected_call, 48);
AT(berth_server_counts, rejected_shed, 56);
AT(berth_server_counts, failed, 64);
AT(berth_server_counts, dropped, 72);
AT(berth_server_counts, closed_pending, 80);
AT(berth_server_counts, closed_first_byte, 88);
AT(berth_server_counts, closed_idle, 96);
AT(berth_server_counts, closed_lifetime, 104);
AT(berth_server_counts, closed_rate, 112);
AT(berth_server_counts, closed_output, 120);
AT(berth_server_counts, live, 128);
AT(berth_server_counts, paced, 136);
AT(berth_server_counts, accept_failures, 144);
AT(berth_server_counts, exhaustions, 152);
AT(berth_server_counts, awaiting_header, 160);
AT(berth_server_counts, rejected_header, 168);
AT(berth_server_counts, at_hand, 176); // since 0.2
AT(berth_server_counts, lingering, 184);
AT(berth_server_counts, closed_drain, 192);
AT(berth_server_counts, greeting, 200);
AT(berth_server_counts, handshaking, 208);
AT(berth_server_counts, handshakes, 216);
AT(berth_server_counts, failed_handshake, 224);
AT(berth_server_counts, rejected_greeting, 232);

SIZE(berth_loop_counts, 104);
AT(berth_loop_counts, turns, 0);
AT(berth_loop_counts, waits, 8);
AT(berth_loop_counts, accepted, 16);
AT(berth_loop_counts, bytes_in, 24);
AT(berth_loop_counts, bytes_out, 32);
AT(berth_loop_counts, live, 40);
AT(berth_loop_counts, limits_ended, 48);
AT(berth_loop_counts, buffer_shortages, 56);
AT(berth_loop_counts, completion_overflows, 64);
AT(berth_loop_counts, receives_renewed, 72);
AT(berth_loop_counts, resets_found, 80);
AT(berth_loop_counts, lingering, 88); // since 0.2
AT(berth_loop_counts, lingers_cut, 96);

SIZE(berth_drain, 12);
AT(berth_drain, grace, 0);
AT(berth_drain, deadline, 4);
AT(berth_drain, idle, 8);

SIZE(berth_local_options, 12);
AT(berth_local_options, mode, 0);
AT(berth_local_options, group, 4);
AT(berth_local_options, set_group, 8);
AT(berth_local_options, replace_stale, 9);
AT(berth_local_options, keep_file, 10);

SIZE(berth_credentials, 12);
AT(berth_credentials, pid, 0);
AT(berth_credentials, uid, 4);
AT(berth_credentials, gid, 8);

SIZE(berth_tls_options, 88);
AT(berth_tls_options, certificate, 0);
AT(berth_tls_options, key, 8);
AT(berth_tls_options, authorities, 16);
AT(berth_tls_options, verify, 24);
AT(berth_tls_options, lowest, 28);
AT(berth_tls_options, highest, 32);
AT(berth_tls_options, ciphers, 40);
AT(berth_tls_options, suites, 48);
AT(berth_tls_options, groups, 56);
AT(berth_tls_options, protocols, 64);
AT(berth_tls_options, tickets, 72);
AT(berth_tls_options, ticket_lifetime, 76);
AT(berth_tls_options, stop_at_truncation, 80);

/* ---- structs that only the library makes ---- */

SIZE(berth_tls_hello, 64);
AT(berth_tls_hello, server_name, 0);
AT(berth_tls_hello, protocols, 8);
AT(berth_tls_hello, peer, 16);
AT(berth_tls_hello, peer_port, 50);
AT(berth_tls_hello, reserved, 56);

SIZE(berth_tls_failure, 64);
AT(berth_tls_failure, error, 0);
AT(berth_tls_failure, text, 8);
AT(berth_tls_failure, server_name, 16);
AT(berth_tls_failure, peer, 24);
AT(berth_tls_failure, peer_port, 58);

SIZE(berth_tls_problem, 32);
AT(berth_tls_problem, depth, 0);
AT(berth_tls_problem, number, 4);
AT(berth_tls_problem, text, 8);
AT(berth_tls_problem, certificate, 16);
AT(berth_tls_problem, size, 24);

/* ---- numbers that programs are compiled with, and that no declaration of a function leads to ----
 */

#define IS(name, number) _Static_assert((name) == (number), "the value of " #name)

IS(BERTH_ADDRESS_TEXT_SIZE, 64); // buffers of programs, whose size the library is not told
IS(BERTH_ENDPOINT_TEXT_SIZE, 72);
IS(BERTH_SUBNET_TEXT_SIZE, 68);
IS(BERTH_LOCAL_PATH_SIZE, 109);
IS(BERTH_TLS_TEXT_SIZE, 256);

IS(BERTH_ADDRESS_FAMILY_NULL, 0);
IS(BERTH_ADDRESS_FAMILY_IPV4, 1);
IS(BERTH_ADDRESS_FAMILY_IPV6, 2);
IS(BERTH_ADDRESS_FAMILY_ANY, 3);
IS(BERTH_ADDRESS_FAMILY_LOCAL, 4);

IS(BERTH_TOLERATE_NOTHING, 0);
IS(BERTH_TOLERATE_MAPPED, 1);
IS(BERTH_TOLERATE_COMPATIBLE, 2);
IS(BERTH_TOLERATE_UNSPECIFIED, 4);
IS(BERTH_TOLERATE_LOOPBACK, 8);
IS(BERTH_TOLERATE_ALL, 255);

IS(BERTH_PROXY_CAN_CONNECT, 1);
IS(BERTH_PROXY_CAN_LISTEN, 2);
IS(BERTH_PROXY_CAN_LOOK_UP_NAMES, 4);

IS(BERTH_WATCH_READ, 1);
IS(BERTH_WATCH_WRITE, 2);

/* ---- structs with padding at their ends: 3, 1 and 7 bytes ---- */

#pragma GCC diagnostic error "-Wmissing-field-initializers"

static const berth_accept_limits accepting = {1, 1, 1, 1, 1, true};
static const berth_local_options local = {1, 1, true, true, true};
static const berth_tls_options tls = {"",
                                      "",
                                      "",
                                      BERTH_TLS_VERIFY_DEFAULT,
                                      BERTH_TLS_VERSION_NONE,
                                      BERTH_TLS_VERSION_NONE,
                                      "",
                                      "",
                                      "",
                                      NULL,
                                      1,
                                      1,
                                      true};

int main(void)
{
    return accepting.shed && local.keep_file && tls.stop_at_truncation ? 0 : 1;
}

#else

int main(void)
{
    puts("the layouts are those of 64-bit machines");
    return 77;
}

#endif
