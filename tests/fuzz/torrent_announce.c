/*
 * Answers of trackers, as the Torrent example reads them. Peers that are reported can be dialled,
 * intervals are within their bounds, texts are printable; and a tracker's id goes into a URL that
 * has no blank in it.
 */
#include "check.h"

#include "../../examples/torrent/announce.c"

static void check_peer(void *user, berth_address address, uint16_t port)
{
    size_t *count = user;
    CHECK(port != 0);
    CHECK(!berth_address_is_null(address) && !berth_address_is_multicast(address));
    CHECK(!berth_address_equal_as(address, BERTH_ADDRESS_ANY_IPV4, BERTH_TOLERATE_MAPPED));
    ++*count;
}

static void check_printable(const char *text, size_t room)
{
    CHECK(strlen(text) < room);
    for (; *text; text++)
        CHECK(*text >= ' ' && *text <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    announce_answer answer;
    char error[300] = "";
    size_t peers = 0;
    bool good = announce_read(data, size, &answer, check_peer, &peers, error, sizeof(error));
    CHECK(peers <= size / 6);
    check_printable(answer.warning, sizeof(answer.warning));
    if (!good) {
        CHECK(error[0] != '\0' && !answer.tracker_id);
        check_printable(error, sizeof(error));
        return 0;
    }
    CHECK(answer.interval >= LEAST_INTERVAL && answer.interval <= LONGEST_INTERVAL);
    CHECK(answer.minimum_interval >= LEAST_INTERVAL && answer.minimum_interval <= answer.interval);
    if (answer.tracker_id) {
        const uint8_t bytes[20] = {0};
        announce what = {.hash = bytes, .peer_id = bytes, .tracker_id = answer.tracker_id};
        char *url = announce_url("http://t/", &what);
        CHECK(url && !strpbrk(url, " \r\n"));
        free(url);
    }
    free(answer.tracker_id);
    return 0;
}
