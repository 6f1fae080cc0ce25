/*
 * The list of guests.h. Nothing here can fail.
 */
#include "guests.h"

#include <stddef.h>

void berth__guests_init(berth__guests *guests)
{
    guests->first = NULL;
    guests->end = &guests->first;
}

void berth__guests_insert_at(berth__guests *guests, berth__guest **link, berth__guest *guest,
                             uint64_t due)
{
    guest->due = due;
    guest->spared = false;
    guest->next = *link;
    guest->link = link;
    *link = guest;
    if (guest->next != NULL)
        guest->next->link = &guest->next;
    else
        guests->end = &guest->next;
}

void berth__guests_insert(berth__guests *guests, berth__guest *guest, uint64_t due)
{
    berth__guest **link = guests->end;
    while (link != &guests->first && ((berth__guest *)link)->due > due)
        link = ((berth__guest *)link)->link;
    berth__guests_insert_at(guests, link, guest, due);
}

void berth__guests_remove(berth__guests *guests, berth__guest *guest)
{
    if (guest->link == NULL)
        return;
    *guest->link = guest->next;
    if (guest->next != NULL)
        guest->next->link = guest->link;
    else
        guests->end = guest->link;
    guest->link = NULL;
}

void berth__guests_replace(berth__guests *guests, berth__guest *guest, berth__guest *by)
{
    berth__guest **link = guest->link;
    berth__guests_remove(guests, guest);
    berth__guests_insert_at(guests, link, by, guest->due);
}
