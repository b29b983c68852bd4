"""Admin: people and their groups, in the theme's forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.models import Group, User
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.contrib.auth.admin import UserAdmin as PlainUserAdmin

    ThemedUserAdmin = PlainUserAdmin[User]
    ThemedAdmin = ModelAdmin[Group]
else:
    from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
    from unfold.admin import ModelAdmin as ThemedAdmin

    class ThemedUserAdmin(PlainUserAdmin, ThemedAdmin):
        """Django's page in the theme."""


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(ThemedUserAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(PlainGroupAdmin, ThemedAdmin):
    pass
