//! What differs between two configurations, and what a running node may take over of the newer one.
//!
//! Owns the comparison and what of it is shown; nothing here acts on a change.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::fmt;

use super::codec::Codec;
use super::effect::{Effect, effect_of};
use super::keys::{Visitor, visit_config};
use super::settings::Config;

/// The key by which tables of an array are told apart.
const NAME: &str = "name";

/// One difference. What may be secret is left out of both values, which then may look the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, such as `rtmp.listen` or `app[live].push.url`.
    pub key: String,
    /// Its value before; none where it was not there.
    pub old: Option<String>,
    /// Its value now; none where it is gone.
    pub new: Option<String>,
    /// When it takes effect.
    pub effect: Effect,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: {} instead of {}", self.key, shown(&self.new), shown(&self.old))
    }
}

impl Config {
    /// All that differs in `newer`. Applications are told apart by name, pushes by URL: neither order
    /// matters. Of an application that comes or goes, the name and the pushes alone are listed.
    #[must_use]
    pub fn changes_to(&self, newer: &Self) -> Vec<Change> {
        let mut places: Vec<Place> = Vec::new();
        let mut indices: HashMap<String, usize> = HashMap::new();
        let before = Setting::all(self).into_iter().map(|setting| (setting, true));
        let after = Setting::all(newer).into_iter().map(|setting| (setting, false));
        for (setting, is_before) in before.chain(after) {
            let index = *indices.entry(setting.place.clone()).or_insert_with(|| {
                places.push(Place::default());
                places.len() - 1
            });
            let Some(place) = places.get_mut(index) else { continue };
            if is_before {
                place.before.push(setting);
            } else if let Some(same) =
                place.before.iter().position(|old| old.value == setting.value)
            {
                place.before.remove(same);
                place.is_kept = true;
            } else {
                place.after.push(setting);
            }
        }
        let mut changes = Vec::new();
        for Place { before, after, is_kept } in places {
            let pairs = before.len() == 1 && after.len() == 1;
            // What an application that comes or goes has besides its name and its pushes.
            let is_detail = !pairs && !is_kept;
            let listed = |setting: &Setting| {
                !is_detail || setting.key.ends_with(".name") || setting.key.ends_with(".url")
            };
            let (before, mut after) = (before.into_iter().filter(listed), after.into_iter());
            for old in before {
                let new = if pairs { after.next() } else { None };
                changes.push(old.change(new));
            }
            changes.extend(after.filter(listed).map(Setting::added));
        }
        changes
    }

    /// This configuration with the keys that need a restart as `running` has them.
    #[must_use]
    pub fn within_reach_of(&self, running: &Self) -> Self {
        let mut keeper = Keeper { path: Vec::new(), kept: VecDeque::new(), pass: Pass::Take };
        visit_config(&mut running.clone(), &mut keeper);
        keeper.pass = Pass::Give;
        let mut config = self.clone();
        visit_config(&mut config, &mut keeper);
        config
    }
}

/// The values at one place that differ: several where pushes stand.
#[derive(Debug, Default)]
struct Place {
    before: Vec<Setting>,
    after: Vec<Setting>,
    /// Some are the same.
    is_kept: bool,
}

/// One value of a configuration.
#[derive(Clone, Debug)]
struct Setting {
    /// As the book names it: `app.push.url`.
    key: String,
    /// Which of them: `app[live].push.url`.
    place: String,
    value: toml::Value,
    /// The value without what may be secret.
    shown: String,
}

impl Setting {
    fn all(config: &Config) -> Vec<Self> {
        let flat = |mut config: Config| {
            let mut flattening = Flattening::default();
            visit_config(&mut config, &mut flattening);
            flattening.settings
        };
        let mut settings = flat(config.clone());
        for (setting, redacted) in settings.iter_mut().zip(flat(config.redacted())) {
            setting.shown = redacted.value.to_string();
        }
        settings
    }

    fn change(self, new: Option<Self>) -> Change {
        let effect = effect_of(&self.key);
        let new = new.map(|new| new.shown);
        Change { key: self.place, old: Some(self.shown), new, effect }
    }

    fn added(self) -> Change {
        let effect = effect_of(&self.key);
        Change { key: self.place, old: None, new: Some(self.shown), effect }
    }
}

#[derive(Default)]
struct Flattening {
    key: Vec<&'static str>,
    place: Vec<String>,
    settings: Vec<Setting>,
}

impl Visitor for Flattening {
    fn setting<T: Clone + 'static, C: Codec<T>>(
        &mut self,
        key: &'static str,
        field: &mut T,
        codec: &C,
    ) {
        let join = |path: String| if path.is_empty() { key.to_owned() } else { path + "." + key };
        self.settings.push(Setting {
            key: join(self.key.join(".")),
            place: join(self.place.join(".")),
            value: codec.write(field),
            shown: String::new(),
        });
    }

    fn table<T>(&mut self, key: &'static str, field: &mut T, visit: fn(&mut T, &mut Self)) {
        self.key.push(key);
        self.place.push(key.to_owned());
        visit(field, self);
        self.place.pop();
        self.key.pop();
    }

    fn tables<T: Default>(
        &mut self,
        key: &'static str,
        fields: &mut Vec<T>,
        visit: fn(&mut T, &mut Self),
    ) {
        for field in fields {
            // Its name stands within it, so it is looked through for that first.
            let mut within = Self::default();
            visit(field, &mut within);
            let name = within.settings.iter().find(|setting| setting.key == NAME);
            let name = name.and_then(|setting| setting.value.as_str());
            self.key.push(key);
            self.place.push(name.map_or_else(|| key.to_owned(), |name| format!("{key}[{name}]")));
            visit(field, self);
            self.place.pop();
            self.key.pop();
        }
    }
}

/// Takes the values of keys that need a restart out of one configuration, and puts them into another:
/// both are gone through in the same order.
struct Keeper {
    path: Vec<&'static str>,
    kept: VecDeque<Box<dyn Any>>,
    pass: Pass,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Take,
    Give,
}

impl Visitor for Keeper {
    fn setting<T: Clone + 'static, C: Codec<T>>(
        &mut self,
        key: &'static str,
        field: &mut T,
        _: &C,
    ) {
        self.path.push(key);
        let effect = effect_of(&self.path.join("."));
        self.path.pop();
        if effect != Effect::Restart {
            return;
        }
        match self.pass {
            Pass::Take => self.kept.push_back(Box::new(field.clone())),
            Pass::Give => {
                if let Some(kept) = self.kept.pop_front()
                    && let Ok(kept) = kept.downcast::<T>()
                {
                    *field = *kept;
                }
            }
        }
    }

    fn table<T>(&mut self, key: &'static str, field: &mut T, visit: fn(&mut T, &mut Self)) {
        self.path.push(key);
        visit(field, self);
        self.path.pop();
    }

    /// There are no keys in arrays of tables that need a restart; a test holds it.
    fn tables<T: Default>(&mut self, _: &'static str, _: &mut Vec<T>, _: fn(&mut T, &mut Self)) {}
}
