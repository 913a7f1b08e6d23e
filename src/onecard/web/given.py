"""What the routes of pages may ask for: by these types, and the names `site`, `layout`, `visit`, `form`."""

from __future__ import annotations

from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from onecard.web.forms import Form
from onecard.web.layout import Layout
from onecard.web.site import Site
from onecard.web.visit import Visit

GivenSite: TypeAlias = NamedDependency[SkipValidation[Site]]
GivenLayout: TypeAlias = NamedDependency[SkipValidation[Layout]]
GivenVisit: TypeAlias = NamedDependency[SkipValidation[Visit]]
GivenForm: TypeAlias = NamedDependency[SkipValidation[Form]]
